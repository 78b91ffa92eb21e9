"""From relevance to a mask: seeds, and what is connected to them."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from relmask.masks.calibration import ClassThresholds
from relmask.masks.hysteresis import hysteresis

FloatArray = NDArray[np.float32]


def outline(relevance: FloatArray, thresholds: ClassThresholds) -> NDArray[np.bool_]:
    """Mask (H, W) of one class: all that is above its extent and connected to a seed.

    Args:
        relevance: (H, W) in logits a pixel.
        thresholds: of the class.

    Returns:
        The mask, empty where nothing exceeds the seed; parts (8-connected) under the least area are left out.
    """
    peak = float(relevance.max(initial=0.0))
    if peak <= thresholds.seed:
        return np.zeros(relevance.shape, dtype=bool)
    low = thresholds.reach(peak)
    high = min(max(thresholds.seed, low), np.nextafter(peak, 0))
    mask = hysteresis(relevance, min(low, high), high)
    return _without_small(mask, thresholds.min_area) if thresholds.min_area > 1 else mask


def _without_small(mask: NDArray[np.bool_], min_area: int) -> NDArray[np.bool_]:
    parts, _ = label(mask, structure=np.ones((3, 3)))
    large = np.bincount(parts.ravel()) >= min_area
    large[0] = False
    kept: NDArray[np.bool_] = large[parts]
    return kept


def combine(
    maps: Mapping[int, FloatArray], thresholds: Mapping[int, ClassThresholds], shape: tuple[int, int]
) -> NDArray[np.uint8]:
    """One mask of several classes; where they overlap, the higher relevance over its threshold wins.

    Args:
        maps: relevance (H, W) of each class, by its place in the order of classes, from 0.
        thresholds: likewise.
        shape: (H, W).

    Returns:
        (H, W), 0 = background, k + 1 = class k.
    """
    mask = np.zeros(shape, dtype=np.uint8)
    strongest = np.zeros(shape, dtype=np.float32)
    for k, relevance in maps.items():
        inside = outline(relevance, thresholds[k])
        if not inside.any():
            continue
        strength = relevance / thresholds[k].reach(float(relevance.max()))
        wins = inside & (strength > strongest)
        mask[wins] = k + 1
        strongest[wins] = strength[wins]
    return mask
