"""Relevance that says nothing, since clean images have as much of it."""

from collections.abc import Sequence

import numpy as np

from relmask.data.index import Sample
from relmask.data.reading import read_image
from relmask.inference.relevance import RelevanceModel
from relmask.progress import Progress
from relmask.sequences import evenly

SHARE = 0.01
"""Share of the pixels of clean images whose relevance is above the floor."""
EXPLAINED = 8
"""Clean images at most that are explained for it, each for every class."""


def choose_floors(
    model: RelevanceModel,
    clean: Sequence[Sample],
    classes: int,
    progress: Progress,
    explained: int = EXPLAINED,
) -> list[float]:
    """Relevance of each class (K,), in logits a pixel, that few pixels of clean images exceed.

    What a classifier spreads over a clean image, like the outline of the part, it spreads over a defective
    one, too. 0 where no image is clean, and for images in windows: those without a defect are not explained.

    Args:
        model: what explains.
        clean: clean images, those that training did not see first.
        classes: how many there are.
        progress: called after every image.
        explained: images at most that are looked at.
    """
    if model.spec.windows or model.spec.masks is None:
        return [0.0] * classes
    chosen = [clean[int(index)] for index in evenly(len(clean), explained)]
    found: list[list[float]] = []
    for done, sample in enumerate(chosen, start=1):
        picture = read_image(sample.path, model.spec.intensity)
        images, places = model.cut(picture)
        maps = model.maps(picture, images, places, np.ones((len(images), classes), bool))
        found.append([float(np.quantile(maps[k], 1 - SHARE)) for k in range(classes)])
        progress("looking at clean pictures", done, len(chosen))
    return np.median(found, axis=0).clip(min=0).tolist() if found else [0.0] * classes
