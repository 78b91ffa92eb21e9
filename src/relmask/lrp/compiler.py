"""A model and a composite become one module: images -> logits, relevance."""

import copy
import warnings
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from relmask.errors import UnsupportedModel
from relmask.lrp.affine import stabilise
from relmask.lrp.composites import Composite, named
from relmask.lrp.graph import capture
from relmask.lrp.program import Program
from relmask.lrp.targets import Target, start

CACHED_SIZES = 4


@dataclass(frozen=True)
class Explanation:
    """What a model said of some images, and why.

    Args:
        logits: (N, K).
        relevance: the images' shape; it sums to the logits explained, but for what biases and epsilon absorb.
        conserved: (N,) share of the start that arrived at the pixels.
    """

    logits: Tensor
    relevance: Tensor
    conserved: Tensor


class Explainer(nn.Module):
    """images (N, C, ...) -> logits (N, K), relevance in the images' shape. Made by `compile`.

    Runs under inference mode or without, wherever `.to()` puts it. Sizes that the model does not leave open are
    compiled when they are met; the last few are kept.
    """

    def __init__(self, model: nn.Module, example: Tensor, composite: Composite) -> None:
        super().__init__()
        self.composite = composite
        self._source = [model]  # a list hides it from state_dict and from .to()
        self.programs = nn.ModuleList([_program(model, example, composite, dynamic=True)])

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
        share = relevance.flatten(1).sum(1) / stabilise(begun.sum(1))
        strange = ((share < 0.5) | (share > 1.5)).sum()
        if not torch.compiler.is_compiling() and strange:
            warnings.warn(
                f"{int(strange)} of {len(share)} images conserve less than 0.5 or more than 1.5 of their relevance "
                f"({float(share.min()):.3g} to {float(share.max()):.3g}): biases absorbed it, or summands of opposite "
                f"signs blew it up. The composite 'relmask' is the most stable one.",
                stacklevel=2,
            )
        return Explanation(logits, relevance, share)

    def conserved(self, images: Tensor, target: Target = None) -> Tensor:
        """(N,) share of the start that arrived at the pixels; warns where it is outside 0.5 to 1.5."""
        return self.explain(images, target).conserved

    def _explained(self, images: Tensor, target: Target) -> tuple[Tensor, Tensor, Tensor]:
        program = self._program(images)
        with torch.no_grad():
            logits, tape = program(images)
            begun = start(logits, target)
            return logits, begun, program.back(tape, begun)

    def _program(self, images: Tensor) -> Program:
        if torch.compiler.is_compiling():
            return self.programs[0]  # type: ignore[return-value]
        for program in self.programs:
            if program.captured.fits(images):  # type: ignore[operator, union-attr]
                return program  # type: ignore[return-value]
        made = _program(self._source[0], images.detach(), self.composite, dynamic=False)
        self.programs.append(made.to(images))
        if len(self.programs) > CACHED_SIZES:
            del self.programs[1]
        return made

    @property
    def table(self) -> str:
        """Layer, operator and rule of every place that has one."""
        program = self.programs[0]
        rows = [
            (place.path or "(model)", place.operator, str(program.rules[node]))  # type: ignore[index, union-attr]
            for node, place in program.places.items()  # type: ignore[operator, union-attr]
        ]
        widths = [max(map(len, column)) for column in zip(*rows, ("layer", "operator", "rule"), strict=True)]
        lines = (
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in (("layer", "operator", "rule"), *rows)
        )
        return "\n".join(lines)


def compile(model: nn.Module, example: Tensor, composite: str | Composite = "relmask") -> Explainer:
    """Compile a classifier and its explanation into one module.

    Args:
        model: images (N, C, ...) to logits (N, K); it is copied, never changed.
        example: images of a typical size; their values do not matter.
        composite: the name of a preset, or a `Composite`.

    Raises:
        UnsupportedOperator: operators without a rule; all of them are named.
        UnsupportedModel: softmax at the end, no (N, K) output, or a model that torch.export cannot trace.
        UsageError: no such composite, or one without a rule for some layers.
    """
    chosen = named(composite) if isinstance(composite, str) else composite
    with torch.inference_mode(False), torch.no_grad():
        try:
            source = copy.deepcopy(model).eval().requires_grad_(False)
        except Exception as error:
            raise UnsupportedModel(f"{type(model).__name__} cannot be copied: {error}") from error
        return Explainer(source, example, chosen)


def _program(model: nn.Module, example: Tensor, composite: Composite, *, dynamic: bool) -> Program:
    """The model compiled for images like the example; one image alone would be taken as the only batch size."""
    if dynamic and len(example) == 1:
        example = torch.cat((example, example))
    try:
        captured = capture(model, example, dynamic=dynamic)
    except UnsupportedModel:
        if not dynamic:
            raise
        captured = capture(model, example, dynamic=False)
    return Program(captured, composite).eval()
