"""How far a mask reaches: chosen per class from relevance of images that have it, and from labels alone."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.filters import threshold_otsu

FloatArray = NDArray[np.float32]

POWER = 2 / 3  # of the shares of the peak; 1 leaves faint parts of large defects out, 1/2 lets halos in
FALLBACK = 0.25  # share of the peak, where no image of the class can be explained


def absolute_extent(maps: Sequence[FloatArray]) -> float:
    """Relevance above which pixels belong to the mask, by Otsu's threshold of its square roots.

    For a picture that is seen through windows: its peak is the highest of many windows', so a share of it
    says little about the others.

    Args:
        maps: relevance (H, W) of images that have the class, in logits a pixel.

    Returns:
        In logits a pixel.
    """
    found = [np.sqrt(values[values > 0]) for values in maps if (values > 0).any()]
    return float(threshold_otsu(np.concatenate(found)) ** 2) if found else FALLBACK


def choose_extent(maps: Sequence[FloatArray]) -> float:
    """Share of an image's peak above which relevance belongs to the mask.

    Relevance is measured by the peak of its image and pooled over all images of the class, so that the answer
    is that of the class and no image gets a threshold of its own. Otsu's threshold (1979) of a power of them
    then parts the few high values from the many low ones; the power keeps the highest from deciding alone.

    Args:
        maps: relevance (H, W) of images that have the class.

    Returns:
        Between 0.005 and 0.9.
    """
    shares = [values / peak for values in maps if (peak := float(values.max(initial=0.0))) > 0]
    if not shares:
        return FALLBACK
    pooled = np.concatenate([share[share > 0] ** POWER for share in shares])
    return float(np.clip(threshold_otsu(pooled, nbins=1024) ** (1 / POWER), 0.005, 0.9))
