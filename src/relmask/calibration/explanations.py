"""Relevance of the pictures that thresholds are chosen from."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from relmask.arrays import DoubleArray, FloatArray, Mask
from relmask.data.image_cache import ImageCache
from relmask.data.index import Sample
from relmask.data.reading import read_image
from relmask.inference.relevance import RelevanceModel
from relmask.masks.appearance import Appearance
from relmask.masks.growth import ANOMALOUS, mostly_grown
from relmask.masks.inpainting import inpaint_all
from relmask.sequences import batches, evenly

EXPLAINED = 16
"""Images of a class, at most, that are explained to choose the level at which its masks end."""


class Explanations:
    """Relevance of the pictures that thresholds are chosen from.

    Args:
        model: what explains.
        samples: what may be explained; first the pictures that training did not see.
        logits: (N, K) of the model for them.
        targets: (N, K), is the class in the picture?
        unseen: how many of the first pictures training did not see.
        explained: images of a class, at most, that are explained.
    """

    def __init__(
        self,
        model: RelevanceModel,
        samples: Sequence[Sample],
        logits: DoubleArray,
        targets: Mask,
        unseen: int,
        explained: int = EXPLAINED,
    ) -> None:
        self.model = model
        self.samples = tuple(samples)
        self.cache = ImageCache(samples, model.spec.size, model.spec.intensity, memory=0)
        self.logits = logits
        self.targets = targets
        self.unseen = unseen
        self.explained = explained

    def positives(self, k: int, gate: float) -> list[int]:
        """Images that have class k and pass its gate; unseen first, then evenly spaced."""
        has = np.flatnonzero(self.targets[:, k] & (self.logits[:, k] > gate))
        unseen, seen = has[has < self.unseen], has[has >= self.unseen]
        room = max(self.explained - len(unseen), 0)
        chosen = (unseen[evenly(len(unseen), self.explained)], seen[evenly(len(seen), room)])
        return [int(index) for index in np.concatenate(chosen)]

    def maps(self, indices: Sequence[int], k: int, gate: float) -> list[FloatArray]:
        """Refined relevance (H, W) of class k, neither grown nor propagated.

        Pictures that are cut into windows have their own size, and only windows above the gate are explained;
        others have the size of the model's input.
        """
        if self.model.spec.windows:
            return [self._windowed(int(index), k, gate) for index in indices]
        found = []
        for _, images in self._batches(indices):
            found += self.model.refined(images, torch.full((len(images),), k))
        return found

    def cleaned(self, k: int, gate: float, indices: Sequence[int], masks: Sequence[Mask]) -> float:
        """Share of images whose logit of class k does not pass its gate once their masks are inpainted."""
        logits = self.model.logits(inpaint_all(self.cache.batch(indices), masks))
        return float((logits[:, k] <= gate).double().mean())

    def anomalous(self, k: int) -> float | None:
        """Novelty that few locations of images without a defect exceed; None where the model cannot tell.

        Of images that training did not see, where there are some.
        """
        clean = np.flatnonzero(self._without(k))
        unseen, seen = clean[clean < self.unseen], clean[clean >= self.unseen]
        usable = unseen if len(unseen) else seen
        chosen = usable[evenly(len(usable), self.explained)]
        found = [self.model.novelty_map(self.cache.batch([int(i)]), torch.tensor([k])) for i in chosen]
        known = [values for values in found if values is not None]
        return float(np.quantile(np.concatenate(known), 1 - ANOMALOUS)) if known else None

    def grows(self, indices: Sequence[int], k: int, maps: Sequence[FloatArray], anomalous: float) -> bool:
        """Do most images stay more anomalous beside their relevance of class k than clean ones would?"""
        without = np.flatnonzero(self._without(k))
        clean = without[np.linspace(0, len(without) - 1, len(indices)).astype(int)]  # repeated if too few
        found = []
        for part, images in self._batches(indices):
            beside = self.cache.batch(clean[part].tolist())
            targets = torch.full((len(images),), k)
            found += self.model.grown(images, targets, maps[part], anomalous, beside)
        return mostly_grown(maps, found)

    def completed(
        self, indices: Sequence[int], k: int, maps: Sequence[FloatArray], anomalous: float | None
    ) -> list[FloatArray]:
        """Relevance (S, S) of class k as masks of large defects are cut from it."""
        found = []
        for part, images in self._batches(indices):
            found += self.model.completed(images, torch.full((len(images),), k), maps[part], anomalous)
        return found

    def appearance(self, indices: Sequence[int]) -> Appearance:
        """What the images look like."""
        return Appearance([*self.cache.batch(indices).permute(0, 2, 3, 1).numpy()])

    def _windowed(self, index: int, k: int, gate: float) -> FloatArray:
        picture = read_image(self.samples[index].path, self.model.spec.intensity)
        images, places = self.model.cut(picture)
        passing = np.zeros((len(images), self.targets.shape[1]), bool)
        passing[:, k] = True if len(images) == 1 else self.model.logits(images)[:, k].numpy() > gate
        found = self.model.maps(picture, images, places, passing)
        return found.get(k, np.zeros(picture.shape[:2], np.float32))

    def _without(self, k: int) -> Mask:
        """Which images (N,) have no defect, or, where all have one, not that of class k."""
        clean: Mask = ~np.any(self.targets, axis=1)
        return clean if clean.any() else ~self.targets[:, k]

    def _batches(self, indices: Sequence[int]) -> Iterator[tuple[slice, Tensor]]:
        for part in batches(range(len(indices)), self.model.batch_size):
            chosen = slice(part[0], part[-1] + 1)
            yield chosen, self.cache.batch([int(index) for index in indices[chosen]])
