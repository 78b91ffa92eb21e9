"""How far a mask reaches: chosen per class from relevance of images that have it, and from labels alone."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.filters import threshold_otsu

FloatArray = NDArray[np.float32]
Mask = NDArray[np.bool_]

LEVELS = np.geomspace(0.01, 0.64, 13)
"""Shares of the peak that are tried, a factor of the square root of 2 apart."""
ENOUGH = 0.8  # of the images that the widest masks clean
MARGIN = 0.5
"""Of the level whose masks just suffice: painting over reaches further than the mask, what is left is cut."""
LARGE = 0.1
"""Share of the peak below which masks of large defects have to reach; those of pits end above 0.15."""
FALLBACK = 0.1  # share of the peak, where painting over tells nothing


def otsu_extent(maps: Sequence[FloatArray]) -> float:
    """Relevance above which pixels belong to the mask, by Otsu's threshold of its square roots.

    For a picture that is seen through windows, whose peak is the highest of many windows' and says little
    about the others; and for relevance that was spread, which is high inside of a defect and low outside.

    Args:
        maps: relevance (H, W) of images that have the class, in logits a pixel or as a share of its peak.

    Returns:
        In the unit of the maps; `FALLBACK` where nothing is relevant.
    """
    found = [np.sqrt(values[values > 0]) for values in maps if (values > 0).any()]
    return float(threshold_otsu(np.concatenate(found)) ** 2) if found else FALLBACK


def choose_extent(maps: Sequence[FloatArray], cleaned: Callable[[list[Mask]], float]) -> float:
    """Share of an image's peak above which relevance belongs to the mask.

    A mask is wide enough when the image is judged clean without what it covers. A pit is gone with a few
    pixels around the peak; of a large patch all has to go. So the masks of all images of the class are
    narrowed together until too few are cleaned, and no image gets a threshold of its own. Half of the level
    that is found is taken, see `MARGIN`.

    Args:
        maps: relevance (H, W) of images that have the class.
        cleaned: of a mask (H, W) for each of them, what share of the images is judged clean once the masks
            are painted over.

    Returns:
        Between 0.005 and 0.32; `FALLBACK` where nothing is relevant, or no mask cleans an image.
    """
    peaks = [float(values.max(initial=0.0)) for values in maps]

    def at(level: float) -> float:
        masks = [
            values > level * peak if peak > 0 else values > np.inf
            for values, peak in zip(maps, peaks, strict=True)
        ]
        return cleaned(masks)

    if not any(peak > 0 for peak in peaks) or not (most := at(LEVELS[0])):
        return FALLBACK
    suffices, fails = 0, len(LEVELS)
    while fails - suffices > 1:
        middle = (suffices + fails) // 2
        if at(LEVELS[middle]) >= ENOUGH * most:
            suffices = middle
        else:
            fails = middle
    return float(MARGIN * LEVELS[suffices])
