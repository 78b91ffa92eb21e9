"""Painting over a part of a picture, so that it shows what surrounds it."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

MARGIN = 2
"""Pixels by which a mask is widened: what is left of a border would still show the defect."""
GRAIN = 2.0
"""Sigma in pixels: what is finer than that is the picture's grain."""


def painted_over(image: Image, mask: Mask, rng: np.random.Generator) -> Image:
    """The picture with the masked pixels filled: the level of what surrounds them, and grain from elsewhere.

    The level is a Gaussian mean over the pixels outside the mask, with the narrowest Gaussian that reaches
    some; the grain is the picture's own, moved here from where it overlaps the mask the least.

    Args:
        image: (H, W, 3) in [0, 1].
        mask: (H, W), what to paint over; `MARGIN` pixels around it are painted, too.
        rng: where grain is looked for.
    """
    if not mask.any():
        return image
    hidden = binary_dilation(mask, iterations=MARGIN)
    grain = image - _blurred(image, GRAIN)
    moves = [(int(rng.integers(hidden.shape[0])), int(rng.integers(hidden.shape[1]))) for _ in range(16)]
    move = min(moves, key=lambda by: np.count_nonzero(hidden & np.roll(hidden, by, (0, 1))))
    filled = (_surroundings(image, hidden) + np.roll(grain, move, (0, 1))).clip(0, 1)
    painted: Image = np.where(hidden[..., None], filled, image).astype(np.float32)
    return painted


def moved_copies(mask: Mask, count: int, rng: np.random.Generator) -> list[Mask]:
    """Copies of a mask (H, W), mirrored or not and moved at random; what leaves it enters opposite."""
    copies = []
    for _ in range(count):
        copy = mask[:: rng.choice((1, -1)), :: rng.choice((1, -1))]
        copies.append(np.roll(copy, (rng.integers(mask.shape[0]), rng.integers(mask.shape[1])), (0, 1)))
    return copies


def _surroundings(image: Image, hidden: Mask) -> Image:
    filled = np.full_like(image, image[~hidden].mean() if not hidden.all() else 0.5)
    unknown = hidden.copy()
    seen = (~hidden).astype(np.float32)
    sigma = 2.0
    while unknown.any() and sigma < max(hidden.shape):
        weight = gaussian_filter(seen, sigma, mode="constant")
        reached = unknown & (weight > 0.05)
        level = _blurred(image * seen[..., None], sigma, "constant") / np.maximum(weight, 1e-6)[..., None]
        filled[reached] = level[reached]
        unknown &= ~reached
        sigma *= 2
    return filled


def _blurred(image: Image, sigma: float, mode: str = "nearest") -> Image:
    blurred: Image = gaussian_filter(image, (sigma, sigma, 0), mode=mode)
    return blurred
