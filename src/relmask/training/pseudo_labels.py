"""What a run says of pictures whose labels are known: the masks that a student learns from."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from relmask.arrays import ByteArray, FloatArray, Mask
from relmask.data.index import Sample
from relmask.data.patches import place_of
from relmask.data.resizing import to_tensor
from relmask.data.tiles import Window
from relmask.inference.run import Run
from relmask.masks.binarise import combine
from relmask.training.pixel_dataset import VOID

Relevance = dict[int, FloatArray]
"""Relevance (H, W) by number of the class."""

UNSURE = 0.5
"""Multiple of the level from which a pixel outside of the mask is no certain background."""


class PseudoLabels:
    """A run's masks of pictures, as labels of their pixels: 0 = background, k = k-th class, `VOID` = unsure.

    The image-level label is taken at its word: the masks show its classes alone, whether or not the picture
    passes their gates, and a clean picture is all background. Pixels whose support is a little below the
    level, where the border of the defect may be, are void; so is all of a picture where a class of its label
    has no relevance.

    Patches that were cut out of one picture are explained together: where they overlap, their relevance is
    averaged as in a whole picture, and a class that one of them lacks by its label is not in it by another's.

    Args:
        run: a run with thresholds.
        samples: patches that `cut_patches` cut, those of one picture one after the other; other pictures need
            not be named.
    """

    def __init__(self, run: Run, samples: Iterable[Sample]) -> None:
        self._run = run
        self._patches: dict[str, list[Sample]] = {}
        self._places: dict[str, tuple[str, Window]] = {}
        self._last: tuple[str, Relevance, ByteArray] | None = None
        for sample in samples if run.metadata.input.windows else ():
            if (place := place_of(sample.name)) is not None:
                self._places[sample.name] = place
                self._patches.setdefault(place[0], []).append(sample)

    def __call__(self, sample: Sample, picture: FloatArray) -> ByteArray:
        """The mask (H, W) of a picture (H, W, 3) in [0, 1]."""
        shape = picture.shape[:2]
        named = [k for k, name in enumerate(self._run.metadata.classes) if name in sample.labels]
        if not named:
            return np.zeros(shape, np.uint8)
        if sample.name in self._places and set(shape) == {self._run.metadata.input.size}:
            whole, window = self._places[sample.name]
            inside = window.inside(self._run.metadata.input.size)
            maps, shown = self._joined(whole)
        else:
            inside = slice(None), slice(None)
            maps = self._alone(picture, named)
            shown = self._decided(maps)
        if not all(maps[k][inside].any() for k in named):
            return np.full(shape, VOID, np.uint8)
        return shown[inside]

    def _alone(self, picture: FloatArray, named: Sequence[int]) -> Relevance:
        images, places = self._run.model.cut(picture)
        passing = np.zeros((len(images), len(self._run.metadata.classes)), bool)
        passing[:, named] = True
        model = self._run.model
        floors = self._run.segmenter.calibration.floors
        return model.support(model.maps(picture, images, places, passing), picture, floors)

    def _joined(self, name: str) -> tuple[Relevance, ByteArray]:
        """Relevance of each class in the picture that these patches were cut out of, and its mask."""
        if self._last is not None and self._last[0] == name:
            return self._last[1:]
        run, size = self._run, self._run.metadata.input.size
        read = [(sample, run.read(sample.path)) for sample in self._patches[name]]
        patches = [(sample, picture) for sample, picture in read if set(picture.shape[:2]) == {size}]
        places = [self._places[sample.name][1] for sample, _ in patches]
        images = torch.stack([to_tensor(picture) for _, picture in patches])
        passing: Mask = np.array(
            [[label in sample.labels for label in run.metadata.classes] for sample, _ in patches]
        )
        shape = max(place.top for place in places) + size, max(place.left for place in places) + size
        whole = np.zeros((*shape, 3), np.float32)
        for place, (_, picture) in zip(places, patches, strict=True):
            whole[place.inside(size)] = picture
        floors = run.segmenter.calibration.floors
        maps = run.model.support(run.model.maps(whole, images, places, passing), whole, floors)
        for place, shown in zip(places, passing, strict=True):
            for k in maps:
                if not shown[k]:
                    maps[k][place.inside(size)] = 0
        self._last = name, maps, self._decided(maps)
        return self._last[1:]

    def _decided(self, maps: Relevance) -> ByteArray:
        classes = self._run.segmenter.calibration.classes
        thresholds = {k: classes[self._run.metadata.classes[k]] for k in maps}
        shown = combine(maps, thresholds, next(iter(maps.values())).shape[:2])
        unsure = np.zeros(shown.shape, bool)
        for k, values in maps.items():
            # The class is in the picture: support that stays below the level is no background at its peak.
            level = min(thresholds[k].level, float(values.max(initial=0.0)))
            unsure |= (values > UNSURE * level) & (shown == 0)
        return np.where(unsure, np.uint8(VOID), shown)
