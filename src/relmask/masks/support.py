"""The one rule between relevance and mask: a pixel needs relevance, and so do the pixels that look like it.

Relevance says where a defect is, and is as wide as what a location of the network sees; the picture's own
pixels say how far the defect reaches. So relevance is predicted from the look of a pixel (colour and texture,
nothing wider than a few pixels) by least squares within the same picture. What looks like a defect gets much;
what only lies beside one gets what its look gets elsewhere: little. The support of a pixel is

    support = (share of the peak ** own  *  what its look predicts of target) ** power

where relevance counts from a floor that few pixels of clean images exceed. The target of the first fit is
share ** (1 - own), that of a second one the support by the first: what lay beside a defect no longer speaks.
The mask is where support exceeds its own threshold by Otsu (1979). Nothing is learned from masks, nothing is
chosen by class or by data set.
"""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.filters import threshold_otsu

from relmask.arrays import FloatArray, FloatingArray
from relmask.masks.settings import MaskSettings

FITTED = 100_000
"""Pixels at most, evenly spaced, that the fit of relevance to looks is made of."""
FARTHEST = 6.0
"""Standard deviations at which a look is cut off: one odd pixel must not bend the fit."""
FAINT = 1e-12


def support(
    relevance: FloatArray, picture: FloatArray, settings: MaskSettings, floor: float = 0.0
) -> FloatArray:
    """Support (H, W) of one class, in units of its threshold by Otsu: the mask is where it exceeds 1.

    Args:
        relevance: of the class, (H, W); only what is above the floor speaks for it.
        picture: (H, W, 3) in [0, 1].
        settings: the constants.
        floor: relevance that clean images have too.

    Returns:
        0 everywhere where relevance is nowhere above the floor.
    """
    positive = (relevance - np.float32(floor)).clip(min=0)
    peak = float(positive.max(initial=0.0))
    if peak <= FAINT:
        return np.zeros_like(positive)
    share = positive / peak
    own = share**settings.own
    if settings.own < 1:
        fit = Fit(picture, settings)
        found = share ** (1 - settings.own)
        for _ in range(settings.fits):
            found = gaussian_filter(own * fit.predicted(found), settings.smoothing, mode="nearest")
            found **= settings.power
    else:
        found = own**settings.power
    threshold = _bold_otsu(found, settings.noise)
    return (found / threshold).astype(np.float32) if threshold > FAINT else np.zeros_like(positive)


class Fit:
    """A quadratic least-squares fit of maps to the looks of a picture's pixels.

    Args:
        picture: (H, W, 3) in [0, 1].
        settings: which looks, and how the fit is kept small.
    """

    def __init__(self, picture: FloatArray, settings: MaskSettings) -> None:
        seen = looks(picture, settings)
        self.shape = seen.shape[1:]
        self.step = max(round((seen[0].size / FITTED) ** 0.5), 1)
        sample = seen[:, :: self.step, :: self.step].reshape(len(seen), -1)
        mean, spread = sample.mean(1), sample.std(1) + 1e-6
        self.looks = _standardised(seen.reshape(len(seen), -1), mean, spread)
        looked = _standardised(sample, mean, spread).astype(np.float64)
        self.pairs = np.triu_indices(len(seen))
        first, second = self.pairs
        self.terms = np.concatenate([np.ones((1, looked.shape[1])), looked, looked[first] * looked[second]])
        self.products = self.terms @ self.terms.T + settings.ridge * self.terms.shape[1] * np.eye(
            len(self.terms)
        )

    def predicted(self, target: FloatingArray) -> FloatArray:
        """What the look of each pixel predicts of `target` (H, W), at least 0."""
        sample = target[:: self.step, :: self.step].ravel()
        weights = np.linalg.solve(self.products, self.terms @ sample).astype(np.float32)
        count = len(self.looks)
        constant, linear = weights[0], weights[1 : count + 1]
        quadratic = np.zeros((count, count), np.float32)
        quadratic[self.pairs] = weights[count + 1 :]
        found: FloatArray = constant + linear @ self.looks + (self.looks * (quadratic @ self.looks)).sum(0)
        return found.reshape(self.shape).clip(min=0)


def otsu_of_roots(maps: Sequence[FloatArray]) -> float:
    """Otsu's threshold of the square roots of what is positive in maps, squared; 1 where nothing is.

    For maps without a picture, and for relevance alone: roots bring faint and bold places closer together.
    """
    found = [np.sqrt(values[values > 0]) for values in maps if (values > 0).any()]
    return _otsu(np.concatenate(found)) ** 2 if found else 1.0


def looks(picture: FloatArray, settings: MaskSettings) -> FloatArray:
    """Looks (F, H, W) of the pixels of a picture (H, W, 3): brightness, colour, and roughness around."""
    grey = picture.mean(-1)
    channels = (grey, picture[..., 0] - grey, picture[..., 2] - grey)
    found = [
        gaussian_filter(channel, sigma, mode="nearest") for sigma in settings.colours for channel in channels
    ]
    for sigma in settings.grains:
        rough = (grey - gaussian_filter(grey, sigma, mode="nearest")) ** 2
        # The logarithm, since textures differ by factors
        found.append(0.5 * np.log(gaussian_filter(rough, sigma, mode="nearest") + 1e-6))
    return np.stack(found).astype(np.float32)


def _bold_otsu(values: FloatingArray, noise: float) -> float:
    """Otsu's threshold of what is positive, again of what exceeds it while it lies among the noise.

    Otsu weighs both sides by their pixels: of a spot of a few pixels on a large background, both sides are
    background.
    """
    above = values[values > 0]
    if not len(above):
        return 0.0
    threshold, peak = _otsu(above), above.max()
    while threshold < noise * peak and (above := above[above > threshold]).min() < peak:
        threshold = _otsu(above)
    return threshold


def _otsu(values: FloatingArray) -> float:
    # In 32 bits the bins of values that are almost equal would have no width
    return float(threshold_otsu(values.astype(np.float64)))


def _standardised(values: FloatArray, mean: FloatArray, spread: FloatArray) -> FloatArray:
    found: FloatArray = ((values - mean[:, None]) / spread[:, None]).clip(-FARTHEST, FARTHEST)
    return found
