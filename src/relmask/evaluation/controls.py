"""What a mask must beat: scores that know nothing of the defect.

A control is given the advantage: its threshold is the best one on the very images that it is tested on.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import filters

Image = NDArray[np.float32]
ScoreMap = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Control:
    """A name and a function from an image (H, W, 3) in [0, 1] to a score (H, W), high where a defect is.

    `random-head` is made of a run: the relevance of its network with a head that was never trained.
    """

    name: str
    score: Callable[[Image], ScoreMap]


def darkness(image: Image) -> ScoreMap:
    """How dark each pixel is, slightly smoothed against the sensor's noise."""
    dark: ScoreMap = 1 - ndimage.gaussian_filter(image.mean(-1), 0.7)
    return dark


def otsu(image: Image, tiles: int = 6) -> ScoreMap:
    """How far each pixel lies below a local Otsu threshold.

    The threshold is that of tiles with half overlap, interpolated between their centres; a tile is a sixth of
    the image's shorter side, at least 16 pixels.
    """
    grey = image.mean(-1)
    size = max(16, min(grey.shape) // tiles)
    rows, columns = (np.arange(max(1, round(2 * length / size) - 1)) * (size / 2) for length in grey.shape)
    levels = np.array(
        [[_otsu_level(grey[int(y) : int(y) + size, int(x) : int(x) + size]) for x in columns] for y in rows]
    )
    y = ((np.arange(grey.shape[0]) - size / 2) / (size / 2)).clip(0, len(rows) - 1)
    x = ((np.arange(grey.shape[1]) - size / 2) / (size / 2)).clip(0, len(columns) - 1)
    threshold = ndimage.map_coordinates(levels, np.meshgrid(y, x, indexing="ij"), order=1, mode="nearest")
    below: ScoreMap = threshold - grey
    return below


CONTROLS = (Control("darkness", darkness), Control("otsu", otsu))


def _otsu_level(grey: NDArray[np.floating]) -> float:
    if grey.max() == grey.min():
        return float(grey.min())
    return float(filters.threshold_otsu(grey, nbins=64))  # type: ignore[no-untyped-call]
