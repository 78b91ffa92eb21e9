"""From relevance to a mask: a threshold a class, and who wins where classes overlap."""

from collections.abc import Mapping

import numpy as np
from scipy.ndimage import label

from relmask.arrays import ByteArray, FloatArray, Mask
from relmask.masks.thresholds import ClassThresholds


def binarise(relevance: FloatArray, thresholds: ClassThresholds) -> Mask:
    """Mask (H, W) of one class: all relevance above its threshold.

    Args:
        relevance: (H, W) in logits a pixel.
        thresholds: of the class.

    Returns:
        The mask, empty without positive relevance; components (8-connected) under `min_area` are left out.
    """
    peak = float(relevance.max(initial=0.0))
    if peak <= 0:
        return np.zeros(relevance.shape, dtype=bool)
    # float64, so that a level close to the peak is not rounded onto it
    mask: Mask = relevance > np.float64(thresholds.threshold_at(peak))
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
    """One mask of several classes; where they overlap, the higher relevance over its threshold wins.

    Args:
        maps: relevance (H, W) of each class, by its position in the order of classes, from 0.
        thresholds: likewise.
        shape: (H, W).

    Returns:
        (H, W), 0 = background, k + 1 = class k.
    """
    mask = np.zeros(shape, dtype=np.uint8)
    strongest = np.zeros(shape, dtype=np.float32)
    for k, relevance in maps.items():
        inside = binarise(relevance, thresholds[k])
        if not inside.any():
            continue
        strength = relevance / thresholds[k].threshold_at(float(relevance.max()))
        wins = inside & (strength > strongest)
        mask[wins] = k + 1
        strongest[wins] = strength[wins]
    return mask
