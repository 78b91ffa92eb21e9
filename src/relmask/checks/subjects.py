"""What can be judged: the masks of a run, and those of any function."""

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relmask.inference.explained import ExplainedClassifier, composite_of
from relmask.inference.run import Run
from relmask.lrp import Explanation
from relmask.lrp.randomise import Cascade
from relmask.masks.refinement import smooth

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]
Map = NDArray[np.floating]


class Subject(Protocol):
    """Draws masks on images (S, S, 3) in [0, 1], of the side that the model sees."""

    def mask(self, image: Image, k: int) -> Mask:
        """What is masked (S, S) as class k."""

    def map(self, image: Image, k: int, forgotten: int, seed: int, *, through: bool = False) -> Map:
        """What the mask is cut from (S, S), of a model whose `forgotten` uppermost layers were redrawn.

        Args:
            image: (S, S, 3).
            k: the class.
            forgotten: how many layers; 0 is the model as it is.
            seed: of the redrawing.
            through: redraw the way back alone, see `Cascade.explain_through`.
        """

    def conserved(self, image: Image, k: int) -> float:
        """Share of the evidence that arrives at the pixels; not a number where there is no relevance."""


class RunMasks:
    """The masks of a run and their relevance."""

    def __init__(self, run: Run) -> None:
        self.segmenter = run.segmenter
        self.model = run.classifier
        self.cascade = cascade_of(run.classifier)

    def mask(self, image: Image, k: int) -> Mask:
        """As `segment` draws it."""
        mask: Mask = self.segmenter.segment_images([image])[0].mask == k + 1
        return mask

    def map(self, image: Image, k: int, forgotten: int, seed: int, *, through: bool = False) -> Map:
        """Relevance, smoothed as masks are; of the image alone, without its mirrors and its edges."""
        explain = self.cascade.explain_through if through else self.cascade.explain
        explanation = explain(self._normalised(image), k, forgotten, seed)
        return smooth(_signed(explanation, k).cpu().numpy(), self.model.spec.sigma)

    def conserved(self, image: Image, k: int) -> float:
        """Share of the evidence that arrives at the pixels."""
        return float(self.cascade.explain(self._normalised(image), k).conserved)

    def _normalised(self, image: Image) -> Tensor:
        channels = torch.from_numpy(image.transpose(2, 0, 1).copy())
        return self.model.normalise(channels[None].to(self.model.device))


class DrawnMasks:
    """The masks of a function that knows no model: redrawing a model's layers leaves them as they are.

    Args:
        draw: image (S, S, 3) in [0, 1] to mask (S, S), non-zero where something is masked.
    """

    def __init__(self, draw: Callable[[Image], NDArray[np.generic]]) -> None:
        self._draw = draw

    def mask(self, image: Image, k: int) -> Mask:
        """The function's."""
        mask: Mask = np.asarray(self._draw(image)) != 0
        return mask

    def map(self, image: Image, k: int, forgotten: int, seed: int, *, through: bool = False) -> Map:
        """The mask, 0 or 1."""
        return self.mask(image, k).astype(np.float32)

    def conserved(self, image: Image, k: int) -> float:
        """No relevance is known."""
        return math.nan


def cascade_of(model: ExplainedClassifier) -> Cascade:
    """The classifier, ready to forget its layers."""
    return Cascade(model.explained_head, model.example(), composite_of(model.composite, model.spec))


def _signed(explanation: Explanation, k: int) -> Tensor:
    """Relevance (S, S) that speaks for the class; as it is, it is negative where the logit is."""
    relevance = explanation.relevance[0].sum(0)
    return relevance if explanation.logits[0, k] >= 0 else -relevance
