"""Cascading randomisation: does relevance depend on what the layers of a model learned?"""

import copy
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.fx import Node

from relmask.lrp.affine import Affine
from relmask.lrp.analysis import Analysis
from relmask.lrp.compiler import Explanation
from relmask.lrp.composites import Composite, as_composite
from relmask.lrp.graph import capture
from relmask.lrp.instructions import ApplyLayer
from relmask.lrp.module_paths import module_path
from relmask.lrp.program import Program
from relmask.lrp.targets import Target, starting_relevance


class Cascade:
    """A compiled model, whole or with its uppermost layers redrawn (Adebayo et al. 2018).

    The model is captured once; a variant costs milliseconds. Weights and biases of a redrawn layer are normal
    with mean 0 and the standard deviation that they had, batch norm folded in.

    Args:
        model: images (N, C, H, W) to logits (N, K); it is copied, never changed.
        example: images of the size that will be judged, at least two.
        composite: the name of a preset, or a `Composite`.

    Raises:
        UnsupportedModel, UnsupportedOperator, UsageError: as `compile`.
    """

    def __init__(self, model: nn.Module, example: Tensor, composite: str | Composite) -> None:
        with torch.inference_mode(False), torch.no_grad():
            source = copy.deepcopy(model).eval().requires_grad_(False)
            self._captured = capture(source, example, (0,))
            self._layers = Analysis(self._captured).layers
            self._device = example.device
            self.composite = as_composite(composite)
            self._whole = Program(self._captured, self.composite).eval()

    @property
    def layers(self) -> tuple[str, ...]:
        """Paths of the modules of all layers, first to last."""
        return tuple(module_path(node) for node in self._layers)

    def logits(self, images: Tensor) -> Tensor:
        """Logits (N, K) of the whole model."""
        with torch.no_grad():
            logits: Tensor = self._whole(images)[0]
            return logits

    def explain(self, images: Tensor, target: Target, redrawn: int = 0, seed: int = 0) -> Explanation:
        """Explain images (N, C, H, W) by the model with its uppermost layers redrawn.

        Args:
            images: of the example's size.
            target: what to explain, see `targets.starting_relevance`.
            redrawn: number of layers, counted from the last; 0 is the model as it is.
            seed: of the new weights.
        """
        return self.explained_by(redrawn, seed)(images, target)

    def explained_by(self, redrawn: int, seed: int = 0) -> Callable[[Tensor, Target], Explanation]:
        """`explain` by one variant, which is made once for any number of images."""
        program = self._with_redrawn(redrawn, seed)
        return lambda images, target: self._explained(images, target, program, program)

    def explain_through(self, images: Tensor, target: Target, redrawn: int, seed: int = 0) -> Explanation:
        """Explain images (N, C, H, W) that the whole model sees through layers that were redrawn.

        Activations and starting relevance are the whole model's, only the way back uses the redrawn weights.
        Relevance that stays as it was does not depend on these weights.
        """
        return self._explained(images, target, self._whole, self._with_redrawn(redrawn, seed))

    def _explained(self, images: Tensor, target: Target, ahead: Program, back: Program) -> Explanation:
        with torch.no_grad():
            logits, tape = ahead(images)
            start = starting_relevance(logits, target)
            if back is not ahead:
                for layer in back.layers:
                    assert isinstance(layer, ApplyLayer)
                    if layer.name in tape.affines:
                        met = tape.affines[layer.name]
                        layer.layer.silent = False  # negative outputs were lost to other weights
                        tape.affines[layer.name] = Affine(layer.layer, met.x, met.pads)
            return Explanation.of(logits, start, back.back(tape, start))

    def _with_redrawn(self, count: int, seed: int) -> Program:
        if not count:
            return self._whole
        generator = torch.Generator().manual_seed(seed)
        constants = dict(self._captured.constants)
        for node in self._layers[-count:]:
            for source in node.args[1:3]:
                if isinstance(source, Node) and source in constants:
                    constants[source] = _redrawn(constants[source], generator)
        program = Program(replace(self._captured, constants=constants), self.composite)
        return program.eval().to(self._device)


def _redrawn(value: Tensor, generator: torch.Generator) -> Tensor:
    deviation = float(value.std()) if value.numel() > 1 else 0.0
    return (torch.randn(value.shape, generator=generator) * deviation).to(value)
