"""Levels from true masks: the one place of calibration where a true mask is met."""

from collections.abc import Mapping, Sequence

import numpy as np

from relmask.arrays import FloatingArray
from relmask.data.index import Index, Sample
from relmask.data.reading import read_image
from relmask.data.tiles import across
from relmask.data.truth import read_truth
from relmask.inference.model import Model
from relmask.masks.binarise import binarise
from relmask.masks.thresholds import Calibration
from relmask.progress import Progress


def choose_from_masks(
    model: Model,
    tried: Sequence[Calibration],
    levels: Mapping[str, FloatingArray],
    samples: Sequence[Sample],
    index: Index,
    progress: Progress,
) -> Calibration:
    """The gates and levels whose masks have the highest pooled IoU with the true ones, class by class.

    Every picture counts for every class, whether or not its gate stops it: a defect that is called clean is
    missed, and a mask on a picture without the class is false.

    Args:
        model: what the masks come from.
        tried: calibrations whose gates are tried; of gates that do as well, the last wins.
        levels: what is tried as level of each class.
        samples: pictures with true masks, clean ones too.
        index: of their data; says which value in a mask is which class.
        progress: called after every picture.

    Returns:
        The last of `tried` with each class's best gate and level, and `saw_masks`. A class whose masks
        meet no true one at any level keeps its thresholds.
    """
    names = tuple(tried[-1].classes)
    met = {name: np.zeros((len(tried), len(levels[name]))) for name in names}
    union = {name: np.zeros((len(tried), len(levels[name]))) for name in names}
    for done, sample in enumerate(samples, start=1):
        picture, truth = read_image(sample.path, model.spec.intensity), read_truth(sample, index)
        images, places = model.cut(picture)
        rows = model.logits(images).double().numpy()
        for number, calibration in enumerate(tried):
            maps = model.maps(picture, images, places, calibration.passing(rows, across(places)))
            maps = model.support(maps, picture, calibration.floors)
            for k, name in enumerate(names):
                there = truth == (index.classes.index(name) + 1 if name in index.classes else -1)
                own = calibration.classes[name]
                for row, level in enumerate(levels[name]):
                    mask = np.zeros_like(there)
                    if k in maps:
                        mask = binarise(maps[k], own.model_copy(update={"level": float(level)}))
                    met[name][number, row] += np.count_nonzero(mask & there)
                    union[name][number, row] += np.count_nonzero(mask | there)
        progress("comparing with true masks", done, len(samples))
    chosen = dict(tried[-1].classes)
    for name in names:
        iou = met[name] / np.maximum(union[name], 1)
        if not iou.any():
            continue
        best = iou.max(axis=1)
        number = int(np.flatnonzero(best == best.max())[-1])
        level = float(levels[name][iou[number].argmax()])
        chosen[name] = tried[number].classes[name].model_copy(update={"level": level})
    return tried[-1].model_copy(update={"classes": chosen, "saw_masks": True})
