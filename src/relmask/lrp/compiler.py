"""A model and a composite become one module: images -> logits, relevance."""

import copy
import itertools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from relmask.errors import UnsupportedModel, UsageError
from relmask.lrp.composites import Composite, named
from relmask.lrp.graph import Output, capture
from relmask.lrp.ledger import Ledger, aligned
from relmask.lrp.program import Program
from relmask.lrp.targets import Target, split, start

CACHED_SIZES = 4
INTERPOLATIONS = {3: "linear", 4: "bilinear", 5: "trilinear"}


@dataclass(frozen=True)
class Explanation:
    """What a model said of some images, and why.

    Args:
        logits: (N, K).
        relevance: the images' shape; it sums to the logits explained, but for what biases and epsilon absorb.
        conserved: (N,) share of the start that arrived at the pixels; not finite where the start sums to 0.
    """

    logits: Tensor
    relevance: Tensor
    conserved: Tensor


class Explainer(nn.Module):
    """Images (N, C, ...) -> logits (N, K), relevance in the images' shape. Made by `compile`.

    Runs under inference mode or without, wherever `.to()` puts it. Sizes that the model does not leave open
    are compiled when they are met; the last few are kept.
    """

    def __init__(
        self,
        model: nn.Module,
        example: Tensor,
        composite: Composite,
        *,
        sizes: bool = True,
        output: Output | None = None,
        stop: str | None = None,
    ) -> None:
        super().__init__()
        self.output = output
        self.stop = stop
        self.composite = composite
        self._source = [model]  # a list hides it from state_dict and from .to()
        self.programs = nn.ModuleList([self._compiled(model, example, sizes)])
        if stop is not None:
            self._known(cast(Program, self.programs[0]), (stop,))

    def forward(self, images: Tensor, target: Target = None) -> tuple[Tensor, Tensor]:
        """Logits and relevance.

        Args:
            images: (N, C, ...) of any size that the model takes.
            target: what to explain, see `targets.start`.
        """
        logits, _, relevance = self._explained(images, target)
        return logits, relevance

    def explain(self, images: Tensor, target: Target = None) -> Explanation:
        """As calling the module, with the share that was conserved; warns where that is far from one."""
        logits, begun, relevance = self._explained(images, target)
        share = relevance.flatten(1).sum(1) / begun.sum(1)
        strange = (share.isfinite() & ((share < 0.5) | (share > 1.5))).sum()
        if not torch.compiler.is_compiling() and strange:
            warnings.warn(
                f"The conserved share of {int(strange)} of {len(share)} images lies outside 0.5 to 1.5 "
                f"({float(share.min()):.3g} to {float(share.max()):.3g}): biases absorbed relevance, or "
                "summands of opposite signs blew it up. The composite 'relmask' is the most stable one.",
                stacklevel=2,
            )
        return Explanation(logits, relevance, share)

    def conserved(self, images: Tensor, target: Target = None) -> Tensor:
        """(N,) share of the start that arrived at the pixels; warns where it is outside 0.5 to 1.5."""
        return self.explain(images, target).conserved

    def inner(self, images: Tensor, at: str | Sequence[str], target: Target = None) -> dict[str, Tensor]:
        """Relevance at the outputs of modules, by their names; cheaper than down to the pixels.

        Args:
            images: (N, C, ...).
            at: paths of modules as in `named_modules()`; `@1` behind it is a module's second run. A batch
                norm that was folded has the relevance of the layer before it.
            target: what to explain, see `targets.start`.

        Raises:
            UsageError: no such module, or no relevance passes its output.
        """
        program = self._program(images)
        names = self._known(program, (at,) if isinstance(at, str) else at)
        with torch.no_grad():
            logits, tape = program(images)
            return program.inner(tape, start(logits, target), names)

    def ledger(self, images: Tensor, target: Target = None) -> Ledger:
        """What every layer kept of the relevance of these images; printed, it is a table."""
        program = self._program(images)
        with torch.no_grad():
            logits, tape = program(images)
            return program.ledger(tape, start(logits, target))

    def each(self, images: Tensor, targets: Sequence[Target]) -> tuple[Tensor, Tensor]:
        """Several explanations of the same images, which run forwards once.

        Args:
            images: (N, C, ...).
            targets: T of them, see `targets.start`.

        Returns:
            Logits (N, K) and relevance (T, N, C, ...).
        """
        program = self._program(images)
        with torch.no_grad():
            logits, tape = program(images)
            starts = torch.stack([start(logits, target) for target in targets])
            relevance: Tensor = torch.vmap(lambda begun: program.back(tape, begun))(starts)
            return logits, relevance

    def _known(self, program: Program, names: Sequence[str]) -> Sequence[str]:
        if missing := [name for name in names if name not in program.outputs]:
            raise UsageError(
                f"No relevance passes the output of {', '.join(map(repr, missing))}. "
                f"It passes: {', '.join(program.outputs)}."
            )
        return names

    def _explained(self, images: Tensor, target: Target) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, where relevance starts, and relevance of the images."""
        program = self._program(images)
        pieces = (images,) if torch.compiler.is_compiling() else program.pieces(images)
        if len(pieces) == 1:
            return self._piece(program, images, target)
        targets = split(target, [len(piece) for piece in pieces])
        done = [self._piece(program, *both) for both in zip(pieces, targets, strict=True)]
        logits, begun, relevance = map(torch.cat, zip(*done, strict=True))
        return logits, begun, relevance

    def _piece(self, program: Program, images: Tensor, target: Target) -> tuple[Tensor, Tensor, Tensor]:
        with torch.no_grad():
            logits, tape = program(images)
            begun = start(logits, target)
            if self.stop is None:
                return logits, begun, program.back(tape, begun)
            stopped = program.inner(tape, begun, self._known(program, (self.stop,)))[self.stop]
            return logits, begun, _spread(stopped, images)

    def _program(self, images: Tensor) -> Program:
        programs = [cast(Program, program) for program in self.programs]
        if torch.compiler.is_compiling():
            return programs[0]
        for program in programs:
            if program.fit(images):
                return program
        made = self._compiled(self._source[0], images, sizes=False).to(images)
        self.programs.append(made)
        if len(self.programs) > CACHED_SIZES:
            del self.programs[1]
        return made

    def _compiled(self, model: nn.Module, example: Tensor, sizes: bool) -> Program:
        """The model compiled for images like the example, with as many open sizes as it allows.

        Args:
            model: the copy.
            example: (N, C, ...).
            sizes: leave height and width open too, not only the number of images.
        """
        like = next(itertools.chain(model.parameters(), model.buffers()), example)
        example = example.detach().to(like)
        # torch.export would take one image alone as the only possible number.
        several = torch.cat((example, example)) if len(example) == 1 else example
        everything = (0, *range(2, example.ndim))
        for axes in (everything, (0,)) if sizes else ((0,),):
            try:
                captured = capture(model, several, axes, self.output)
            except UnsupportedModel:
                continue
            if captured.fit(example):
                return Program(captured, self.composite).eval()
        return Program(capture(model, example, (), self.output), self.composite).eval()

    @property
    def table(self) -> str:
        """Layer, operator and rule of every place that has one."""
        return aligned(("layer", "operator", "rule"), cast(Program, self.programs[0]).table)

    def __repr__(self) -> str:
        return f"Explainer({self.composite.name})\n{self.table}"


def compile(
    model: nn.Module,
    example: Tensor,
    composite: str | Composite = "relmask",
    *,
    sizes: bool = True,
    output: Output | None = None,
    stop: str | None = None,
) -> Explainer:
    """Compile a classifier and its explanation into one module.

    Args:
        model: images (N, C, ...) to logits (N, K); it is copied, never changed.
        example: images of a typical size; their values do not matter.
        composite: the name of a preset, or a `Composite`.
        sizes: leave height and width open, as far as the model does. False compiles several times faster, and
            once more for every other size that is met.
        output: which one to explain of a model that returns several, by its position or its key.
        stop: follow relevance no further than to the output of this module, and spread it from there over the
            images: faster, and as coarse as that output.

    Raises:
        UnsupportedOperator: operators without a rule; all of them are named.
        UnsupportedModel: softmax at the end, no (N, K) output, or a model that torch.export cannot trace.
        UsageError: no such composite, output or stop, or a composite without a rule for some layers.
    """
    chosen = named(composite) if isinstance(composite, str) else composite
    with torch.inference_mode(False), torch.no_grad():
        try:
            source = copy.deepcopy(model).eval().requires_grad_(False)
        except Exception as error:
            raise UnsupportedModel(f"{type(model).__name__} cannot be copied: {error}") from error
        return Explainer(source, example, chosen, sizes=sizes, output=output, stop=stop)


def _spread(relevance: Tensor, images: Tensor) -> Tensor:
    """Relevance of maps (N, C, ...) over the pixels below them: interpolated, the same in all channels."""
    if relevance.ndim != images.ndim or relevance.ndim not in INTERPOLATIONS:
        raise UsageError(f"Relevance of shape {tuple(relevance.shape)} has no places to be spread from.")
    size, places = images.shape[2:], relevance.shape[2:].numel()
    mode = INTERPOLATIONS[relevance.ndim]
    spread = F.interpolate(relevance.sum(1, keepdim=True), size=size, mode=mode, align_corners=False)
    return (spread * (places / size.numel() / images.shape[1])).expand(images.shape)
