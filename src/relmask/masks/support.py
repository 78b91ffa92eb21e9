"""The one rule between relevance and mask: a pixel needs relevance, and so do the pixels that look like it.

Relevance says where a defect is, and is as wide as what a location of the network sees; the picture's own
pixels say how far the defect reaches. So relevance is predicted from the look of a pixel (colour and texture,
nothing wider than a few pixels) by least squares within the same picture. What looks like a defect gets much;
what only lies beside one gets what its look gets elsewhere: little. The support of a pixel is

    support = (share of the peak ** own  *  what its look predicts of share ** (1 - own)) ** power

where relevance counts from a floor that few pixels of clean images exceed. The mask is where support exceeds
its own threshold by Otsu (1979). Nothing is learned from masks, nothing is chosen by class or by data set.
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
    """Support (H, W) of one class, in units of Otsu's threshold: the mask is where it exceeds 1.

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
    found = share**settings.own
    if settings.own < 1:
        found *= predicted((share ** (1 - settings.own)).astype(np.float32), picture, settings)
        found = gaussian_filter(found, settings.smoothing, mode="nearest")
    found **= settings.power
    inside = found > 0
    threshold = _otsu(found[inside]) if inside.any() else 0.0
    return (found / threshold).astype(np.float32) if threshold > FAINT else np.zeros_like(positive)


def otsu_of_roots(maps: Sequence[FloatArray]) -> float:
    """Otsu's threshold of the square roots of what is positive in maps, squared; 1 where nothing is.

    For maps without a picture, and for relevance alone: roots bring faint and bold places closer together.
    """
    found = [np.sqrt(values[values > 0]) for values in maps if (values > 0).any()]
    return _otsu(np.concatenate(found)) ** 2 if found else 1.0


def predicted(share: FloatArray, picture: FloatArray, settings: MaskSettings) -> FloatArray:
    """What the look of each pixel predicts of `share` (H, W), at least 0: a quadratic least-squares fit."""
    seen = looks(picture, settings)
    step = max(round((share.size / FITTED) ** 0.5), 1)
    sample = seen[:, ::step, ::step].reshape(len(seen), -1)
    mean, spread = sample.mean(1), sample.std(1) + 1e-6
    looked = _standardised(sample, mean, spread).astype(np.float64)
    first, second = np.triu_indices(len(seen))
    terms = np.concatenate([np.ones((1, looked.shape[1])), looked, looked[first] * looked[second]])
    fit = np.linalg.solve(
        terms @ terms.T + settings.ridge * terms.shape[1] * np.eye(len(terms)),
        terms @ share[::step, ::step].ravel(),
    ).astype(np.float32)
    constant, linear = fit[0], fit[1 : len(seen) + 1]
    pairs = np.zeros((len(seen), len(seen)), np.float32)
    pairs[first, second] = fit[len(seen) + 1 :]
    whole = _standardised(seen.reshape(len(seen), -1), mean, spread)
    found: FloatArray = constant + linear @ whole + (whole * (pairs @ whole)).sum(0)
    return found.reshape(share.shape).clip(min=0)


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


def _otsu(values: FloatingArray) -> float:
    # In 32 bits the bins of values that are almost equal would have no width
    return float(threshold_otsu(values.astype(np.float64)))


def _standardised(values: FloatArray, mean: FloatArray, spread: FloatArray) -> FloatArray:
    found: FloatArray = ((values - mean[:, None]) / spread[:, None]).clip(-FARTHEST, FARTHEST)
    return found
