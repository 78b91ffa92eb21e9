"""Relevance that says nothing, since clean images have as much of it."""

from collections.abc import Sequence

import numpy as np

from relmask.data.index import Sample
from relmask.data.reading import read_image
from relmask.inference.relevance import RelevanceModel
from relmask.masks.thresholds import Calibration
from relmask.progress import Progress
from relmask.sequences import evenly

SHARE = 0.01
"""Share of the pixels of clean images whose relevance is above the floor."""
EXPLAINED = 16
"""Clean images at most that are explained for it, each for its strongest class."""


def choose_floors(
    model: RelevanceModel,
    clean: Sequence[Sample],
    gated: Calibration,
    progress: Progress,
    explained: int = EXPLAINED,
) -> list[float]:
    """Relevance of each class (K,), in logits a pixel, that few pixels of clean images exceed.

    What a classifier spreads over a clean image, like the outline of a part, it spreads over a defective
    one, too. The floor of a class is the median over the clean images whose strongest class it is, else over
    all. 0 where no image is clean, and for images in windows: those without a defect are not explained.

    Args:
        model: what explains.
        clean: clean images, those that training did not see first.
        gated: says which class is the strongest.
        progress: called after every image.
        explained: images at most that are looked at.
    """
    classes = len(gated.classes)
    chosen = [clean[int(index)] for index in evenly(len(clean), explained)]
    if model.spec.windows or model.spec.masks is None or not chosen:
        return [0.0] * classes
    found: list[list[float]] = [[] for _ in range(classes)]
    for done, sample in enumerate(chosen, start=1):
        picture = read_image(sample.path, model.spec.intensity)
        images, places = model.cut(picture)
        k = int(gated.standardised(model.logits(images).double().numpy()).max(axis=0).argmax())
        passing = np.zeros((len(images), classes), bool)
        passing[:, k] = True
        relevance = model.maps(picture, images, places, passing)[k]
        found[k].append(max(float(np.quantile(relevance, 1 - SHARE)), 0.0))
        progress("looking at clean pictures", done, len(chosen))
    usual = float(np.median(np.concatenate(found)))
    return [float(np.median(own)) if own else usual for own in found]
