"""How much of a mask the look of its pixels explains: a defect looks unlike what is around it."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from relmask.arrays import DoubleArray, FloatArray, Mask

Kind = TypeVar("Kind", bound=np.generic)

LEVELS = (0, 1, 3)
"""Sigmas in pixels of the means of grey and colour."""
GRAINS = (1, 2, 4)
"""Sigmas in pixels of the local standard deviations of grey."""
PIXELS = 50_000
"""At most about so many pixels of an image are looked at."""
COLOURED = 0.02
"""Difference of channels, of 1, from which images have colour."""
RIDGE = 1e-3


class Appearance:
    """What the pixels of some images look like: level, colour and grain, each against its image.

    Args:
        images: (H, W, 3) in [0, 1].
    """

    def __init__(self, images: Sequence[FloatArray]) -> None:
        coloured = any(float(np.ptp(image, axis=-1).max()) > COLOURED for image in images)
        self._looks = [_looks(image, coloured) for image in images]
        size = self._looks[0].shape[1]
        self._inverse = np.linalg.inv(sum(look.T @ look for look in self._looks) + RIDGE * np.eye(size))

    def explains(self, masks: Sequence[Mask]) -> float:
        """Share of the variance of masks (H, W), one for each image, that a linear fit to the looks explains.

        A mask that reaches too far takes in what looks like the rest, one that is too small leaves out what
        looks like the defect: both are explained worse than the right one. 0 where masks are empty or full.
        """
        seen = [_thinned(mask).ravel() for mask in masks]
        inside, pixels = sum(int(mask.sum()) for mask in seen), sum(mask.size for mask in seen)
        if inside in (0, pixels):
            return 0.0
        pulls = sum(look[mask].sum(0) for look, mask in zip(self._looks, seen, strict=True))
        mean = inside**2 / pixels
        return float((pulls @ self._inverse @ pulls - mean) / (inside - mean))


def _looks(image: FloatArray, coloured: bool) -> DoubleArray:
    """(P, F): of each pixel its looks, how far they are from usual, that squared, and 1."""
    grey = image.mean(-1)
    channels = [grey, image[..., 0] - grey, image[..., 2] - grey] if coloured else [grey]
    found = [gaussian_filter(channel, sigma) for channel in channels for sigma in LEVELS]
    for sigma in GRAINS:
        around = (grey - gaussian_filter(grey, sigma)) ** 2
        found.append(np.sqrt(gaussian_filter(around, sigma)))
    looks = np.stack([_thinned(values).ravel() for values in found], -1).astype(np.float64)
    looks = (looks - np.median(looks, 0)) / (looks.std(0) + 1e-6)
    return np.concatenate([looks, np.abs(looks), looks**2, np.ones((len(looks), 1))], 1)


def _thinned(values: NDArray[Kind]) -> NDArray[Kind]:
    step = max(round((values.size / PIXELS) ** 0.5), 1)
    return values[::step, ::step]
