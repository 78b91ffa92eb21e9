"""Post-processing of relevance maps: Gaussian smoothing and an edge-preserving guided filter."""

from scipy.ndimage import gaussian_filter, uniform_filter

from relmask.arrays import FloatArray

EVEN = 1e-3
"""Variance of brightness, in the square of its range, below which a location counts as even."""


def smooth(relevance: FloatArray, sigma: float) -> FloatArray:
    """Relevance (H, W) smoothed with a Gaussian of `sigma` pixels; its sum is kept but for the border."""
    if not sigma:
        return relevance
    smoothed: FloatArray = gaussian_filter(relevance, sigma, mode="nearest")
    return smoothed


def guided(relevance: FloatArray, picture: FloatArray, radius: int) -> FloatArray:
    """Relevance that follows the picture: the guided filter (He et al. 2013, equations 5, 6 and 8).

    Around every place, relevance is the line through the picture's brightness that fits it best; the mean of
    these lines fills a pit up to its edge, and ends where the pit does.

    Args:
        relevance: (H, W).
        picture: (H, W) in [0, 1].
        radius: of the squares in which lines are fitted, in pixels; 0 leaves relevance as it is.
    """
    if not radius:
        return relevance

    def mean(values: FloatArray) -> FloatArray:
        found: FloatArray = uniform_filter(values, 2 * radius + 1, mode="nearest")
        return found

    level, share = mean(picture), mean(relevance)
    slope = (mean(picture * relevance) - level * share) / (mean(picture * picture) - level**2 + EVEN)
    followed: FloatArray = mean(slope) * picture + mean(share - slope * level)
    return followed
