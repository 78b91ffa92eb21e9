"""What can be judged: the masks of a run, and those of any function."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from relmask.arrays import FloatArray, FloatingArray, Mask
from relmask.checks.redrawn import WayBack, head_layers, redrawn_of
from relmask.inference.model import Model
from relmask.inference.run import Run
from relmask.masks.support import otsu_of_roots


@dataclass(frozen=True)
class Drawn:
    """What is masked in an image, and why.

    Attributes:
        mask: (S, S), as it is delivered.
        map: (S, S), what the mask was cut from.
        plain: (S, S), what Otsu's threshold cuts from relevance alone; None where there is no relevance.
    """

    mask: Mask
    map: FloatingArray
    plain: Mask | None

    @property
    def added(self) -> Mask:
        """Pixels (S, S) of the mask that plain relevance does not cover."""
        covered = self.mask if self.plain is None else self.plain
        return self.mask & ~covered


@dataclass(frozen=True)
class Judged:
    """A mask that is judged.

    Attributes:
        name: of the picture.
        k: number of the class.
        label: name of the class.
        image: (S, S, 3) in [0, 1].
        drawn: what is masked as the class.
    """

    name: str
    k: int
    label: str
    image: FloatArray
    drawn: Drawn


class Subject(Protocol):
    """Draws masks on images (S, S, 3) in [0, 1], of the side that the model sees."""

    @property
    def layers(self) -> int:
        """Number of layers that can be redrawn."""

    @property
    def head(self) -> int:
        """How many of them are the head."""

    def drawn(self, image: FloatArray, k: int) -> Drawn:
        """What is masked as class k."""

    def redrawn(self, image: FloatArray, k: int, count: int, seed: int) -> FloatingArray:
        """The map (S, S) of class k, whatever its score, of a model whose `count` last layers are redrawn."""

    def way_back(self, image: FloatArray, k: int, seed: int) -> WayBack | None:
        """How relevance of class k reaches the image; None where nothing is explained."""


class RunMasks:
    """The masks of a run, and those that the same steps draw from redrawn weights.

    All steps between relevance and a mask are taken.
    """

    def __init__(self, run: Run) -> None:
        self._segmenter = run.segmenter
        self._model = run.model
        self._redrawn = redrawn_of(run)

    @property
    def layers(self) -> int:
        """Number of layers."""
        return len(self._redrawn.layers)

    @property
    def head(self) -> int:
        """How many of them are the head."""
        return head_layers(self._redrawn.layers)

    def drawn(self, image: FloatArray, k: int) -> Drawn:
        """As `segment` draws it."""
        found = self._segmenter.segment_images([image])[0]
        mask, plain = found.mask == k + 1, None
        if self._model.relevance_model is not None:
            relevance = self._relevance(self._model, image, k)[k]
            plain = relevance > otsu_of_roots([relevance])
        cut = found.maps.get(self._segmenter.classes[k], np.zeros(mask.shape, np.float32))
        return Drawn(mask, cut, plain)

    def redrawn(self, image: FloatArray, k: int, count: int, seed: int) -> FloatingArray:
        """The map (S, S) of class k by a model whose `count` last layers were redrawn."""
        model = self._redrawn.model(count, seed)
        floors = self._segmenter.calibration.floors
        return model.support(self._relevance(model, image, k), image, floors)[k]

    def way_back(self, image: FloatArray, k: int, seed: int) -> WayBack | None:
        """How relevance of class k reaches the image."""
        return self._redrawn.way_back(image, k, seed)

    def _relevance(self, model: Model, image: FloatArray, k: int) -> dict[int, FloatArray]:
        images, places = model.cut(image)
        passing = np.zeros((len(images), len(self._segmenter.classes)), bool)
        passing[:, k] = True
        return model.maps(image, images, places, passing)


class DrawnMasks:
    """The masks of a function that knows no model: redrawing a model's layers leaves them as they are.

    Args:
        draw: image (S, S, 3) in [0, 1] to mask (S, S), non-zero where something is masked.
    """

    layers = head = 1

    def __init__(self, draw: Callable[[FloatArray], NDArray[np.generic]]) -> None:
        self._draw = draw

    def drawn(self, image: FloatArray, k: int) -> Drawn:
        """The function's mask."""
        mask: Mask = np.asarray(self._draw(image)) != 0
        return Drawn(mask, mask.astype(np.float32), None)

    def redrawn(self, image: FloatArray, k: int, count: int, seed: int) -> FloatingArray:
        """The same mask, 0 or 1."""
        return self.drawn(image, k).map

    def way_back(self, image: FloatArray, k: int, seed: int) -> WayBack:
        """The same mask, whatever the weights; no evidence is known."""
        same = self.drawn(image, k).map
        return WayBack(same, same, math.nan)
