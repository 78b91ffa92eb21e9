"""Where masks end that are cut from maps as a method gives them, from image-level labels."""

from collections.abc import Sequence

import numpy as np

from relmask.arrays import DoubleArray, FloatArray, Mask
from relmask.calibration.from_labels import OTSU
from relmask.data.index import Sample
from relmask.data.reading import read_image
from relmask.inference.relevance import RelevanceModel
from relmask.masks.support import otsu_of_roots
from relmask.sequences import evenly

EXPLAINED = 16
"""Images of a class, at most, that are explained to choose the level at which its masks end."""


class Explanations:
    """Maps of the pictures that levels are chosen from.

    Args:
        model: what gives the maps.
        samples: what may be looked at; first the pictures that training did not see.
        logits: (N, K) of the model for them.
        targets: (N, K), is the class in the picture?
        unseen: how many of the first pictures training did not see.
    """

    def __init__(
        self,
        model: RelevanceModel,
        samples: Sequence[Sample],
        logits: DoubleArray,
        targets: Mask,
        unseen: int,
    ) -> None:
        self.model = model
        self.samples = tuple(samples)
        self.logits = logits
        self.targets = targets
        self.unseen = unseen

    def level(self, k: int, gate: float) -> float:
        """Where masks of class k end: support is measured by its own threshold, other maps have one level."""
        if self.model.spec.masks is not None:
            return OTSU
        return otsu_of_roots(self.maps(self.positives(k, gate), k, gate))

    def positives(self, k: int, gate: float) -> list[int]:
        """Images that have class k and pass its gate; unseen first, then evenly spaced."""
        has = np.flatnonzero(self.targets[:, k] & (self.logits[:, k] > gate))
        unseen, seen = has[has < self.unseen], has[has >= self.unseen]
        room = max(EXPLAINED - len(unseen), 0)
        chosen = (unseen[evenly(len(unseen), EXPLAINED)], seen[evenly(len(seen), room)])
        return [int(index) for index in np.concatenate(chosen)]

    def maps(self, indices: Sequence[int], k: int, gate: float) -> list[FloatArray]:
        """Maps (H, W) of class k in these pictures; of windows, only those above the gate count."""
        return [self._map(int(index), k, gate) for index in indices]

    def _map(self, index: int, k: int, gate: float) -> FloatArray:
        picture = read_image(self.samples[index].path, self.model.spec.intensity)
        images, places = self.model.cut(picture)
        passing = np.zeros((len(images), self.targets.shape[1]), bool)
        passing[:, k] = True if len(images) == 1 else self.model.logits(images)[:, k].numpy() > gate
        found = self.model.maps(picture, images, places, passing)
        return found.get(k, np.zeros(picture.shape[:2], np.float32))
