"""A model and a composite become one module: images -> logits, relevance."""

import itertools
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from relmask.errors import UnsupportedModel, UsageError
from relmask.lrp.composites import Composite, as_composite
from relmask.lrp.edge import batch, batch_like, copied, run_once
from relmask.lrp.graph import OutputKey, capture
from relmask.lrp.instructions import Tape
from relmask.lrp.ledger import Ledger, aligned
from relmask.lrp.program import Program
from relmask.lrp.targets import Target, split, starting_relevance

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

    @classmethod
    def of(cls, logits: Tensor, start: Tensor, relevance: Tensor) -> "Explanation":
        """An explanation, given the relevance (N, K) that started at the logits."""
        return cls(logits, relevance, relevance.flatten(1).sum(1) / start.sum(1))


class Explainer(nn.Module):
    """Images (N, C, ...) -> logits (N, K), relevance in the images' shape. Made by `compile`.

    Runs under inference mode or without, wherever `.to()` puts it; can be copied and pickled. Images are one
    dense tensor of floats, finite, on the explainer's device; floats of another kind are cast to its own, in
    which relevance comes back. Sizes that the model does not leave open are compiled when they are met; the
    last few are kept.
    """

    def __init__(
        self,
        model: nn.Module,
        example: Tensor,
        composite: str | Composite,
        *,
        sizes: bool = True,
        output: OutputKey | None = None,
        stop: str | None = None,
    ) -> None:
        super().__init__()
        self.output = output
        self.stop = stop
        self.composite = as_composite(composite)
        self._source = [model]  # a list hides it from state_dict and from .to()
        self.programs = nn.ModuleList([self._compiled(model, example, sizes)])
        if stop is not None:
            self._known(cast(Program, self.programs[0]), (stop,))

    def forward(self, images: Tensor, target: Target = None) -> tuple[Tensor, Tensor]:
        """Logits and relevance.

        Args:
            images: (N, C, ...) of any size that the model takes.
            target: what to explain, see `targets.starting_relevance`.
        """
        logits, _, relevance = self._explained(images, target)
        return logits, relevance

    def explain(self, images: Tensor, target: Target = None) -> Explanation:
        """As calling the module, with the share that was conserved; warns where that is far from one."""
        explanation = Explanation.of(*self._explained(images, target))
        share = explanation.conserved
        strange = (share.isfinite() & ((share < 0.5) | (share > 1.5))).sum()
        if not torch.compiler.is_compiling() and strange:
            warnings.warn(
                f"The conserved share of {int(strange)} of {len(share)} images lies outside 0.5 to 1.5 "
                f"({float(share.min()):.3g} to {float(share.max()):.3g}): biases absorbed relevance, or "
                "summands of opposite signs blew it up. The composite 'relmask' is the most stable one.",
                stacklevel=2,
            )
        return explanation

    def conserved(self, images: Tensor, target: Target = None) -> Tensor:
        """(N,) share of the start that arrived at the pixels; warns where it is outside 0.5 to 1.5."""
        return self.explain(images, target).conserved

    def inner(self, images: Tensor, at: str | Sequence[str], target: Target = None) -> dict[str, Tensor]:
        """Relevance at the outputs of modules, by their names; cheaper than down to the pixels.

        Args:
            images: (N, C, ...).
            at: paths of modules as in `named_modules()`; `@1` behind it is a module's second run. A batch
                norm that was folded has the relevance of the layer before it.
            target: what to explain, see `targets.starting_relevance`.

        Raises:
            UsageError: no such module, or no relevance passes its output.
        """
        program, images = self._ready(images)
        several = isinstance(at, Iterable) and not isinstance(at, str)
        names = self._known(program, tuple(at) if several else (cast(str, at),))
        with torch.no_grad():
            logits, tape = program(images)
            return program.inner(tape, starting_relevance(logits, target), names)

    def ledger(self, images: Tensor, target: Target = None) -> Ledger:
        """What every layer kept of the relevance of these images; printed, it is a table.

        With `stop` it ends where the explanation does, and what is conserved is what arrived there.
        """
        program, images = self._ready(images)
        with torch.no_grad():
            logits, tape = program(images)
            return program.ledger(tape, starting_relevance(logits, target), self.stop)

    def each(self, images: Tensor, targets: Sequence[Target]) -> tuple[Tensor, Tensor]:
        """Several explanations of the same images, which run forwards once.

        Args:
            images: (N, C, ...).
            targets: T of them, one or more, see `targets.starting_relevance`.

        Returns:
            Logits (N, K) and relevance (T, N, C, ...).

        Raises:
            UsageError: no targets, or one that the model does not have.
        """
        listed = list(targets) if isinstance(targets, Iterable) else []
        if not listed:
            raise UsageError(f"`each` takes a sequence of one target or more, got {targets!r}.")
        program, images = self._ready(images)
        with torch.no_grad():
            logits, tape = program(images)
            starts = torch.stack([starting_relevance(logits, target) for target in listed])
            relevance: Tensor = torch.vmap(lambda start: self._back(program, tape, start, images))(starts)
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
        program, images = self._ready(images)
        pieces = (images,) if torch.compiler.is_compiling() else program.pieces(images)
        if len(pieces) == 1:
            return self._piece(program, images, target)
        targets = split(target, [len(piece) for piece in pieces])
        done = [self._piece(program, *both) for both in zip(pieces, targets, strict=True)]
        logits, start, relevance = map(torch.cat, zip(*done, strict=True))
        return logits, start, relevance

    def _piece(self, program: Program, images: Tensor, target: Target) -> tuple[Tensor, Tensor, Tensor]:
        with torch.no_grad():
            logits, tape = program(images)
            start = starting_relevance(logits, target)
            return logits, start, self._back(program, tape, start, images)

    def _back(self, program: Program, tape: Tape, start: Tensor, images: Tensor) -> Tensor:
        """Relevance in the images' shape, followed to the pixels or to `stop`."""
        if self.stop is None:
            return program.back(tape, start)
        stopped = program.inner(tape, start, self._known(program, (self.stop,)))[self.stop]
        return _upsampled(stopped, images)

    def _ready(self, images: Tensor) -> tuple[Program, Tensor]:
        """The program for some images, and the images as it takes them."""
        programs = [cast(Program, program) for program in self.programs]
        if torch.compiler.is_compiling():
            return programs[0], images
        images = batch_like(images, programs[0].like)
        for program in programs:
            if program.fits(images):
                return program, images
        made = self._compiled(self._source[0], images, sizes=False).to(images)
        self.programs.append(made)
        if len(self.programs) > CACHED_SIZES:
            del self.programs[1]
        return made, images

    def _compiled(self, model: nn.Module, example: Tensor, sizes: bool) -> Program:
        """The model compiled for images like the example, with as many open sizes as it allows.

        Args:
            model: the copy.
            example: (N, C, ...).
            sizes: leave height and width open too, not only the number of images.
        """
        like = next(itertools.chain(model.parameters(), model.buffers()), example)
        example = example.detach().to(like)
        if not len(example):
            example = example.new_zeros(1, *example.shape[1:])
        run_once(model, example)
        # torch.export would take one image alone as the only possible number.
        several = torch.cat((example, example)) if len(example) == 1 else example
        everything = (0, *range(2, example.ndim))
        for axes in (everything, (0,)) if sizes else ((0,),):
            try:
                captured = capture(model, several, axes, self.output)
            except UnsupportedModel:
                continue
            if captured.fits(example):
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
    output: OutputKey | None = None,
    stop: str | None = None,
) -> Explainer:
    """Compile a classifier and its explanation into one module.

    Args:
        model: images (N, C, ...) to logits (N, K); it is copied, never changed.
        example: images (N, C, ...) of a typical size, floats; their values do not matter.
        composite: the name of a preset, or a `Composite`.
        sizes: leave height and width open, as far as the model does. False compiles several times faster, and
            once more for every other size that is met.
        output: which one to explain of a model that returns several, by its position or its key.
        stop: follow relevance no further than to the output of this module, and interpolate it from there to
            the images' size: faster, and as coarse as that output.

    Raises:
        UnsupportedOperator: operators without a rule; all of them are named.
        UnsupportedModel: softmax at the end, no (N, K) output, batch norm without running statistics, or a
            model that torch.export cannot trace.
        UsageError: no such composite, output or stop, a composite without a rule for some layers, no module,
            or an example on which it cannot run.
    """
    with torch.inference_mode(False), torch.no_grad():
        return Explainer(copied(model), batch(example), composite, sizes=sizes, output=output, stop=stop)


def _upsampled(relevance: Tensor, images: Tensor) -> Tensor:
    """Relevance of maps (N, C, ...) on the pixels below them: interpolated, the same in all channels."""
    if relevance.ndim != images.ndim or relevance.ndim not in INTERPOLATIONS:
        raise UsageError(
            f"Relevance of shape {tuple(relevance.shape)} has no locations in the image. "
            "Choose a `stop` whose output is maps (N, C, ...)."
        )
    size, locations = images.shape[2:], relevance.shape[2:].numel()
    mode = INTERPOLATIONS[relevance.ndim]
    pixels = F.interpolate(relevance.sum(1, keepdim=True), size=size, mode=mode, align_corners=False)
    return (pixels * (locations / size.numel() / images.shape[1])).expand(images.shape)
