"""Models without what their last layers learned, and everything else as it was."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from relmask.arrays import FloatArray, FloatingArray
from relmask.inference.explained import ExplainedClassifier, composite_of
from relmask.inference.model import Model
from relmask.inference.relevance import smooth
from relmask.inference.run import Run
from relmask.inference.segmentation import SegmentationModel
from relmask.inference.substituted import SubstitutedRelevance
from relmask.lrp import Explanation
from relmask.lrp.randomise import Cascade

HEAD = "head"
"""Name of the module that is the head, in the networks of relmask."""


@dataclass(frozen=True)
class WayBack:
    """Relevance (S, S) of a class, smoothed, and how it came there.

    Attributes:
        relevance: as it is.
        through: that of the same evidence, passed back through random weights.
        conserved: share of the evidence that arrived at the pixels; not finite without evidence.
    """

    relevance: FloatingArray
    through: FloatingArray
    conserved: float


class Redrawn(Protocol):
    """A model whose layers can be redrawn, the last ones first (Adebayo et al. 2018).

    New weights are random and have the spread of the old ones.
    """

    @property
    def layers(self) -> tuple[str, ...]:
        """Paths of all layers, first to last."""

    def model(self, count: int, seed: int) -> Model:
        """The model with its `count` last layers redrawn.

        Args:
            count: number of layers.
            seed: of the new weights.
        """

    def way_back(self, image: FloatArray, k: int, seed: int) -> WayBack | None:
        """How relevance of class k reaches an image (S, S, 3); None where nothing is explained."""


def redrawn_of(run: Run) -> Redrawn:
    """The model of a run, ready to be redrawn."""
    if run.model.relevance_model is None:
        return RedrawnSegmentation(run.model)
    return RedrawnRelevance(run.classifier)


def head_layers(layers: tuple[str, ...]) -> int:
    """How many of the last layers are the head: those of the module `head`, else the last layer."""
    others = [number for number, path in enumerate(layers, start=1) if path.split(".")[0] != HEAD]
    return max(len(layers) - max(others, default=0), 1)


class RedrawnRelevance:
    """A classifier whose relevance is that of redrawn weights; its features and novelty stay.

    The rule of masks knows no labels: of the relevance of a model that forgot them it makes what it would
    have made anyway.
    """

    def __init__(self, model: ExplainedClassifier) -> None:
        self._model = model
        self._cascade = Cascade(
            model.explained_head, model.example(), composite_of(model.composite, model.spec)
        )

    @property
    def layers(self) -> tuple[str, ...]:
        """Paths of all layers, first to last."""
        return self._cascade.layers

    def model(self, count: int, seed: int) -> Model:
        """The model with its `count` last layers redrawn."""
        return _Redrawn(self._model, self._cascade.explained_by(count, seed))

    def way_back(self, image: FloatArray, k: int, seed: int) -> WayBack:
        """How relevance of class k reaches an image (S, S, 3), of the image alone, without its mirrors."""
        channels, target = torch.from_numpy(image.transpose(2, 0, 1).copy())[None], torch.tensor([k])
        normalised = self._model.normalise(channels.to(self._model.device))
        whole = self._cascade.explain(normalised, target)
        through = self._cascade.explain_through(normalised, target, len(self.layers), seed)
        settings = self._model.spec.masks
        sigma = settings.smoothing if settings else 0.0
        relevance, passed = (
            smooth(_signed(explanation, target)[0].cpu().numpy(), sigma) for explanation in (whole, through)
        )
        return WayBack(relevance, passed, float(whole.conserved))


class _Redrawn(SubstitutedRelevance):
    """A classifier whose relevance is that of redrawn weights."""

    def __init__(self, model: ExplainedClassifier, explain: Callable[[Tensor, Tensor], Explanation]) -> None:
        super().__init__(model)
        self._explain = explain

    def attribute(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Relevance (N, S, S) that speaks for one class each: negative logits start it from below zero."""
        return _signed(self._explain(inputs, targets), targets)


class RedrawnSegmentation:
    """A network that segments, whose last layers forget in which order their weights stood."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._layers = _executed(model)

    @property
    def layers(self) -> tuple[str, ...]:
        """Paths of all layers, first to last."""
        return tuple(self._layers)

    def model(self, count: int, seed: int) -> Model:
        """The model with its `count` last layers redrawn."""
        model, generator = self._model, torch.Generator().manual_seed(seed)
        network = copy.deepcopy(model.network)
        for path in self.layers[len(self._layers) - count :]:
            for inside in self._layers[path]:
                for values in network.get_submodule(inside).parameters(recurse=False):
                    values.data = _shuffled(values.data, generator)
        return SegmentationModel(network, model.spec, model.device, model.batch_size)

    def way_back(self, image: FloatArray, k: int, seed: int) -> None:
        """Nothing is explained, so nothing goes back."""


def _signed(explanation: Explanation, targets: Tensor) -> Tensor:
    """Relevance (N, S, S) that speaks for one class each; as it is, it is negative where the logit is."""
    logits = explanation.logits.gather(1, targets[:, None])
    sign = torch.where(logits >= 0, 1.0, -1.0).to(explanation.relevance)
    return explanation.relevance.sum(1) * sign[:, :, None]


def _executed(model: Model) -> dict[str, list[str]]:
    """Paths of layers as they run, and of the modules with parameters of each: itself and its batch norm."""
    order: list[nn.Module] = []
    paths = {
        module: path
        for path, module in model.network.named_modules()
        if any(True for _ in module.parameters(recurse=False))
    }
    hooks = [module.register_forward_hook(lambda module, *_: order.append(module)) for module in paths]
    try:
        with torch.inference_mode():
            size = model.spec.size
            model.network(model.normalise(torch.zeros(1, 3, size, size, device=model.device)))
    finally:
        for hook in hooks:
            hook.remove()
    layers: dict[str, list[str]] = {}
    for module in dict.fromkeys(order):
        if not layers or any(values.ndim > 1 for values in module.parameters(recurse=False)):
            layers[paths[module]] = []
        layers[list(layers)[-1]].append(paths[module])
    return layers


def _shuffled(values: Tensor, generator: torch.Generator) -> Tensor:
    order = torch.randperm(values.numel(), generator=generator).to(values.device)
    return values.flatten()[order].view_as(values)
