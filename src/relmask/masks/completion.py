"""Relevance completed: what else of a defect there is, found by painting over what relevance is sure of.

A classifier needs a part of a large defect to name it, and its relevance stays on that part. Painted over, a
pit is gone and what surrounds it looks like any clean picture; beside a part of a frayed edge the rest of the
edge is as strange as before. So what stays strange beside the part belongs to the defect, too.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_closing, binary_dilation, binary_fill_holes, find_objects, label

FloatArray = NDArray[np.float32]
Mask = NDArray[np.bool_]

SURE = 0.2
"""Share of the peak above which relevance is sure of a pixel."""
STRANGE = 3.5
"""Novelty from which a place is strange: about what 1 % of the places of clean pictures exceed."""
KEPT = 0.8
"""Share of its novelty that a place keeps when what is beside it was not its cause."""
GAP = 2
"""Pixels by which a ring may be open and still be one, and what stays strange may lie apart."""

EIGHT = np.ones((3, 3), bool)


def core(relevance: FloatArray) -> Mask:
    """Pixels (H, W) that relevance (H, W) is sure of, holes included; none without positive relevance."""
    return filled(relevance > SURE * max(float(relevance.max()), 0.0))


def completed(relevance: FloatArray, core: Mask, before: FloatArray, after: FloatArray) -> FloatArray:
    """Relevance (H, W), raised to `SURE` of its peak in its core and in what stays strange beside it.

    Args:
        relevance: of one class.
        core: (H, W), see `core`.
        before: novelty (H, W) of the picture.
        after: novelty (H, W) of the picture with its core painted over.
    """
    if not core.any():
        return relevance
    rest = (before > STRANGE) & (after > KEPT * before)
    near = binary_dilation(core, iterations=GAP)
    parts, count = label(near | rest)
    belongs = np.zeros(count + 1, bool)
    belongs[parts[core]] = True
    whole = filled(core | rest & belongs[parts])
    raised: FloatArray = np.where(whole, np.maximum(relevance, SURE * relevance.max()), relevance)
    return raised


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
