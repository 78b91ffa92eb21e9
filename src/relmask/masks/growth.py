"""Growth: relevance raised in locations that stay anomalous beside its core.

A classifier needs a part of a large defect to name it, and its relevance stays on that part. Inpaint a pit,
and what is left looks like any clean image; inpaint a part of a frayed edge, and the rest of the edge is as
anomalous as before. So where that happens in most images of a class, the rest belongs to the defect, too.
"""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import binary_closing, binary_dilation, binary_fill_holes, find_objects, label

from relmask.arrays import FloatArray, Mask

SURE = 0.2
"""Relevance, as a share of the peak, above which a pixel belongs to the certain core."""
ANOMALOUS = 0.01
"""False-alarm rate of a location: share of clean images' locations above the novelty threshold."""
KEPT = 0.8
"""A location stays anomalous if it keeps this fraction of its novelty after the core is inpainted."""
GAP = 2
"""Gap in pixels that is closed: in a ring around a hole, and between the core and its neighbours."""
GROWTH = 1.1
"""Ratio of areas, after to before, from which the core counts as grown."""

EIGHT = np.ones((3, 3), bool)


def core(relevance: FloatArray) -> Mask:
    """Pixels (H, W) that relevance (H, W) is sure of, holes included; none without positive relevance."""
    peak = relevance.max(initial=0.0)
    return filled(relevance >= SURE * peak) if peak > 0 else np.zeros(relevance.shape, bool)


def grown(relevance: FloatArray, before: FloatArray, after: FloatArray, strange: float) -> FloatArray:
    """Relevance (H, W), raised to `SURE` of its peak in its core and in what stays anomalous beside it.

    Args:
        relevance: of one class.
        before: novelty (H, W) of the image.
        after: novelty (H, W) of the image with the core inpainted.
        strange: novelty above which a location is anomalous, and may belong to the defect.
    """
    sure = core(relevance)
    rest = (before > strange) & (after > KEPT * before)
    parts, count = label(binary_dilation(sure, iterations=GAP) | rest)
    belongs = np.zeros(count + 1, bool)
    belongs[parts[sure]] = True
    whole = filled(sure | rest & belongs[parts])
    raised: FloatArray = np.where(whole, np.maximum(relevance, SURE * relevance.max(initial=0.0)), relevance)
    return raised


def mostly_grown(before: Sequence[FloatArray], after: Sequence[FloatArray]) -> bool:
    """Has the core grown in most pictures of a class, so that it is no accident of some?

    Args:
        before: relevance (H, W) of each picture.
        after: the same, `grown`.
    """
    larger = [
        np.count_nonzero(core(whole)) > GROWTH * np.count_nonzero(core(part))
        for part, whole in zip(before, after, strict=True)
    ]
    return bool(2 * sum(larger) > len(larger))


def filled(mask: Mask) -> Mask:
    """The mask (H, W) without the holes of its parts (8-connected), but for those larger than their part.

    Relevance rings a dark pit: the hole is the defect. What a network of cracks encloses is not.
    """
    whole: Mask = mask | binary_closing(np.pad(mask, GAP), EIGHT, GAP)[GAP:-GAP, GAP:-GAP]
    parts, _ = label(whole, EIGHT)
    for number, box in enumerate(find_objects(parts), start=1):
        part = parts[box] == number
        holes, _ = label(binary_fill_holes(part) & ~part)
        small = np.bincount(holes.ravel()) < np.count_nonzero(part)
        small[0] = False
        whole[box] |= small[holes]
    return whole
