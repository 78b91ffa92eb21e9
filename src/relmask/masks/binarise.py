"""From maps to a mask: a level a class, and who wins where classes overlap."""

from collections.abc import Mapping

import numpy as np
from scipy.ndimage import label

from relmask.arrays import ByteArray, FloatArray, Mask
from relmask.masks.thresholds import ClassThresholds


def binarise(values: FloatArray, thresholds: ClassThresholds) -> Mask:
    """Mask (H, W) of one class: all of its map above its level.

    Args:
        values: the map (H, W), see `Model.support`.
        thresholds: of the class.

    Returns:
        The mask; components (8-connected) under `min_area` are left out.
    """
    # float64, so that a level close to a value is not rounded onto it
    mask: Mask = values > np.float64(thresholds.level)
    return _without_small(mask, thresholds.min_area) if thresholds.min_area > 1 else mask


def _without_small(mask: Mask, min_area: int) -> Mask:
    parts, _ = label(mask, structure=np.ones((3, 3)))
    large = np.bincount(parts.ravel()) >= min_area
    large[0] = False
    kept: Mask = large[parts]
    return kept


def combine(
    maps: Mapping[int, FloatArray], thresholds: Mapping[int, ClassThresholds], shape: tuple[int, int]
) -> ByteArray:
    """One mask of several classes; where they overlap, the higher value over its level wins.

    Args:
        maps: map (H, W) of each class, by its position in the order of classes, from 0.
        thresholds: likewise.
        shape: (H, W).

    Returns:
        (H, W), 0 = background, k + 1 = class k.
    """
    mask = np.zeros(shape, dtype=np.uint8)
    strongest = np.zeros(shape, dtype=np.float32)
    for k, values in maps.items():
        inside = binarise(values, thresholds[k])
        strength = values / np.float32(thresholds[k].level)
        wins = inside & (strength > strongest)
        mask[wins] = k + 1
        strongest[wins] = strength[wins]
    return mask
