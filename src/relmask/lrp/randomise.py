"""A model that forgets its layers from the top: does its relevance depend on what they learned?"""

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.fx import Node

from relmask.lrp.affine import Affine
from relmask.lrp.analysis import Facts
from relmask.lrp.composites import Composite
from relmask.lrp.graph import capture
from relmask.lrp.instructions import Apply
from relmask.lrp.module_paths import path
from relmask.lrp.program import Program


@dataclass(frozen=True)
class Seen:
    """What a model says of one image, and why.

    Attributes:
        outputs: (K,).
        relevance: (H, W) of the class that was explained.
        conserved: share of the start that arrived; not finite where there was none.
    """

    outputs: Tensor
    relevance: Tensor
    conserved: float


class Cascade:
    """A compiled model, whole or with its uppermost layers redrawn (Adebayo et al. 2018).

    The model is captured once; a variant costs milliseconds. Weights and biases of a redrawn layer are normal
    with mean 0 and the standard deviation that they had, batch norm folded in.

    Args:
        model: images (N, C, H, W) to outputs (N, K); it is copied, never changed.
        example: images of the size that will be judged, at least two.
        composite: the rules.

    Raises:
        UnsupportedModel, UnsupportedOperator, UsageError: as `compile`.
    """

    def __init__(self, model: nn.Module, example: Tensor, composite: Composite) -> None:
        with torch.inference_mode(False), torch.no_grad():
            source = copy.deepcopy(model).eval().requires_grad_(False)
            self._captured = capture(source, example, (0,))
            self._layers = Facts(self._captured).layers
            self._device = example.device
            self.composite = composite
            self._whole = Program(self._captured, composite).eval()

    @property
    def layers(self) -> tuple[str, ...]:
        """Paths of the modules of all layers, first to last."""
        return tuple(path(node) for node in self._layers)

    def outputs(self, images: Tensor) -> Tensor:
        """Outputs (N, K) of the whole model."""
        with torch.no_grad():
            logits: Tensor = self._whole(images)[0]
            return logits

    def explain(self, image: Tensor, target: int, forgotten: int = 0, seed: int = 0) -> Seen:
        """An image (C, H, W), explained by the model without what its uppermost layers learned."""
        program = self._without(forgotten, seed)
        return self._explained(image, target, program, program)

    def explain_through(self, image: Tensor, target: int, forgotten: int, seed: int = 0) -> Seen:
        """An image (C, H, W) that the whole model sees, explained through layers that forgot.

        Activations and start are the whole model's, only the way back uses the redrawn weights. Relevance
        that stays as it was does not depend on them.
        """
        return self._explained(image, target, self._whole, self._without(forgotten, seed))

    def _explained(self, image: Tensor, target: int, ahead: Program, back: Program) -> Seen:
        with torch.no_grad():
            outputs, tape = ahead(image[None])
            start = torch.zeros_like(outputs)
            start[0, target] = outputs[0, target]
            if back is not ahead:
                for step in map(_layer, back.layers):
                    if step.name in tape.affines:
                        known = tape.affines[step.name]
                        step.layer.silent = False  # it was of other weights that negative outputs are lost
                        tape.affines[step.name] = Affine(step.layer, known.x, known.pads)
            relevance = back.back(tape, start)
            return Seen(outputs[0], relevance[0].sum(0), float(relevance.sum() / start.sum()))

    def _without(self, forgotten: int, seed: int) -> Program:
        if not forgotten:
            return self._whole
        generator = torch.Generator().manual_seed(seed)
        constants = dict(self._captured.constants)
        for node in self._layers[-forgotten:]:
            for source in node.args[1:3]:
                if isinstance(source, Node) and source in constants:
                    constants[source] = _redrawn(constants[source], generator)
        program = Program(replace(self._captured, constants=constants), self.composite)
        return program.eval().to(self._device)


def _layer(step: nn.Module) -> Apply:
    assert isinstance(step, Apply)
    return step


def _redrawn(value: Tensor, generator: torch.Generator) -> Tensor:
    spread = float(value.std()) if value.numel() > 1 else 0.0
    return (torch.randn(value.shape, generator=generator) * spread).to(value)
