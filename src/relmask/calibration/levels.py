"""How far a mask reaches: chosen per class from relevance of images that have it, and from labels alone."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from skimage.filters import threshold_otsu

from relmask.arrays import FloatArray, Mask

LEVELS = np.geomspace(0.01, 0.64, 13)
"""Levels that are tried, as shares of the peak, a factor of the square root of 2 apart."""
ENOUGH = 0.8
"""A level suffices if it cleans this fraction of the images that the best level cleans."""
TOLD = 0.5
"""Fraction of the images that the best level must clean, or inpainting tells nothing."""
MARGINS = np.geomspace(0.5, 1, 5)
"""Multiples of the highest level that suffices, among which appearance decides."""
ABOVE = np.geomspace(1, 3, 7)
"""Multiples of Otsu's threshold of propagated relevance, among which appearance decides."""
LARGE = 0.15
"""Level, as a share of the peak, below which a class counts as one of large defects."""
CLEARLY = 1.5
"""Keep the plain masks only if their R² is at least this many times that of the completed masks."""
FALLBACK = 0.3
"""Level, as a share of the peak, of a class without any relevance."""
TINY = 1e-12


def otsu_level(maps: Sequence[FloatArray]) -> float:
    """Relevance above which pixels belong to the mask, by Otsu's threshold of its square roots.

    For a picture that is seen through windows, whose peak is the highest of many windows' and says little
    about the others; and for propagated relevance, which is high inside of a defect and low outside.

    Args:
        maps: relevance (H, W) of images that have the class, in logits a pixel or as a share of its peak.

    Returns:
        In the unit of the maps; `FALLBACK` where nothing is relevant.
    """
    found = [np.sqrt(values[values > 0]) for values in maps if (values > 0).any()]
    return float(threshold_otsu(np.concatenate(found)) ** 2) if found else FALLBACK


def choose_level(
    maps: Sequence[FloatArray],
    cleaned: Callable[[list[Mask]], float],
    alike: Callable[[list[Mask]], float],
) -> tuple[float, float]:
    """Share of an image's peak above which relevance belongs to the mask.

    A mask is wide enough when the image is judged clean without what it covers. A pit is gone with a few
    pixels around the peak; of a large patch all has to go. So the masks of all images of the class are
    narrowed together until too few are cleaned, and no image gets a threshold of its own. Between half of
    that level, as a classifier misses what little is left of a defect, and the level itself the share is
    taken whose masks appearance explains best; anywhere on the grid, where inpainting tells nothing.

    Args:
        maps: relevance (H, W) of images that have the class.
        cleaned: of a mask (H, W) for each of them, the share of the images that is judged clean once the
            masks are inpainted.
        alike: of such masks, the R² of a fit to the appearance of their pixels.

    Returns:
        The share, from 0.005 to 0.64, and the R² there; `FALLBACK` and 0 where nothing is relevant.
    """
    if not any((values > 0).any() for values in maps):
        return FALLBACK, 0.0
    shares = {level: cleaned(_above(maps, level)) for level in LEVELS[::2]}
    if (most := max(shares.values())) < TOLD:
        return _most_alike(maps, LEVELS, alike)
    suffices = max(level for level, share in shares.items() if share >= ENOUGH * most)
    between = LEVELS[suffices < LEVELS][:1]
    if len(between) and cleaned(_above(maps, between[0])) >= ENOUGH * most:
        suffices = between[0]
    return _most_alike(maps, suffices * MARGINS, alike)


def choose_propagated_level(
    maps: Sequence[FloatArray], alike: Callable[[list[Mask]], float]
) -> tuple[float, float]:
    """The same for propagated relevance: Otsu's threshold of all maps, or a multiple of it."""
    otsu = otsu_level([values / max(float(values.max()), TINY) for values in maps])
    return _most_alike(maps, np.minimum(otsu * ABOVE, 1 - TINY), alike)


def _most_alike(
    maps: Sequence[FloatArray], shares: Iterable[float], alike: Callable[[list[Mask]], float]
) -> tuple[float, float]:
    explained = {float(share): alike(_above(maps, share)) for share in shares}
    best = max(explained, key=explained.__getitem__)
    return best, explained[best]


def _above(maps: Sequence[FloatArray], share: float) -> list[Mask]:
    return [values > share * max(float(values.max()), TINY) for values in maps]
