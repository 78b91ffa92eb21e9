"""How far a mask reaches: chosen per class from relevance of images that have it, and from labels alone."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.filters import threshold_otsu

FloatArray = NDArray[np.float32]

FALLBACK = 0.25  # share of the peak, where no image of the class can be explained


def absolute_extent(maps: Sequence[FloatArray]) -> float:
    """The share of `choose_extent` of a usual peak (the median), in logits a pixel.

    For a picture that is seen through windows: its peak is the highest of many windows', so a share of it
    says little about the others.
    """
    peaks = [peak for values in maps if (peak := float(values.max(initial=0.0))) > 0]
    return choose_extent(maps) * float(np.median(peaks)) if peaks else FALLBACK


def choose_extent(maps: Sequence[FloatArray]) -> float:
    """Share of an image's peak above which relevance belongs to the mask.

    Relevance is measured by the peak of its image and pooled over all images of the class, so that the answer
    is that of the class and no image gets a threshold of its own. Otsu's threshold (1979) of the square roots
    then parts the few high values from the many low ones; the root keeps the highest from deciding alone.

    Args:
        maps: relevance (H, W) of images that have the class.

    Returns:
        Between 0.005 and 0.9.
    """
    shares = [values / peak for values in maps if (peak := float(values.max(initial=0.0))) > 0]
    if not shares:
        return FALLBACK
    pooled = np.concatenate([np.sqrt(share[share > 0]) for share in shares])
    return float(np.clip(threshold_otsu(pooled) ** 2, 0.005, 0.9))
