"""Inpainting: a part of an image is replaced, so that it shows what surrounds it."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.ndimage import binary_dilation, find_objects, gaussian_filter, label
from scipy.signal import fftconvolve
from torch import Tensor

from relmask.arrays import FloatArray, Mask

MARGIN = 2
"""Pixels by which a mask is widened: what is left of a border would still show the defect."""
RING = 6
"""Width in pixels of the ring around a hidden part that the source of a copy has to match."""
ALMOST = 0.9
"""Of a side of the picture: a part as long as that has no other place to be copied from."""
GRAIN = 2.0
"""Sigma in pixels: what is finer than that is the picture's grain."""

MIRRORS = tuple((vertical, horizontal) for vertical in (1, -1) for horizontal in (1, -1))


def inpaint(image: FloatArray, mask: Mask, rng: np.random.Generator) -> FloatArray:
    """The picture with the masked pixels inpainted: filled from where it looks like what surrounds them.

    Each connected part is copied from the place of the picture or of its mirrors whose surroundings match
    those of the part best, and brought to the part's level (compare Criminisi et al., "Region filling and
    object removal by exemplar-based image inpainting", 2004, with one exemplar a part). A flat fill would be
    a defect of its own on brick or grass. What has no such place gets the level of what surrounds it, and
    grain from elsewhere.

    Args:
        image: (H, W, 3) in [0, 1].
        mask: (H, W), what to inpaint; `MARGIN` pixels around it are inpainted, too.
        rng: where grain is looked for.
    """
    if not mask.any():
        return image
    hidden = binary_dilation(mask, iterations=MARGIN)
    parts, _ = label(binary_dilation(hidden, iterations=MARGIN))
    painted = image.copy()
    lost = np.zeros_like(hidden)
    for number, box in enumerate(find_objects(parts), start=1):
        place = tuple(
            slice(max(side.start - RING, 0), min(side.stop + RING, length))
            for side, length in zip(box, hidden.shape, strict=True)
        )
        part = hidden[place] & (parts[place] == number)
        patch = _patch(image, hidden, place, part)
        if patch is None:
            lost[place] |= part
        else:
            levelled = patch + _surroundings(image[place] - patch, part)
            painted[place] = np.where(part[..., None], levelled.clip(0, 1), painted[place])
    return _grained(painted, lost, rng) if lost.any() else painted


def inpaint_all(images: Tensor, masks: Sequence[Mask]) -> Tensor:
    """Images (N, 3, H, W) with the mask (H, W) of each inpainted; the same at every call."""
    painted = [
        inpaint(image, mask, np.random.default_rng(0))
        for image, mask in zip(images.permute(0, 2, 3, 1).numpy(), masks, strict=True)
    ]
    return torch.from_numpy(np.stack(painted)).permute(0, 3, 1, 2)


def moved_copies(mask: Mask, count: int, rng: np.random.Generator) -> list[Mask]:
    """Copies of a mask (H, W), mirrored or not and moved at random; what leaves it enters opposite."""
    copies = []
    for _ in range(count):
        copy = mask[:: rng.choice((1, -1)), :: rng.choice((1, -1))]
        copies.append(np.roll(copy, (rng.integers(mask.shape[0]), rng.integers(mask.shape[1])), (0, 1)))
    return copies


def _patch(image: FloatArray, hidden: Mask, place: tuple[slice, ...], part: Mask) -> FloatArray | None:
    """What to copy over a part (h, w) at a place: (h, w, 3), nothing of it hidden; None where there is none.

    The sum of squared differences to the ring around the part, at all places at once, is three correlations.
    """
    ring = binary_dilation(part, iterations=RING) & ~hidden[place]
    long = [side >= ALMOST * whole for side, whole in zip(part.shape, hidden.shape, strict=True)]
    if all(long) or not ring.any():
        return None
    wanted, needed = image[place] * ring[..., None], (ring | part).astype(np.float32)
    best, chosen = np.inf, None
    for vertical, horizontal in MIRRORS:
        mirrored = image[::vertical, ::horizontal]
        taken = _correlated(hidden[::vertical, ::horizontal].astype(np.float32), needed) > 0.5
        if taken.all():
            continue
        differs = _correlated((mirrored**2).sum(-1), ring.astype(np.float32))
        for channel in range(mirrored.shape[-1]):
            differs -= 2 * _correlated(mirrored[..., channel], wanted[..., channel])
        differs[taken] = np.inf
        top, left = np.unravel_index(np.argmin(differs), differs.shape)
        if differs[top, left] < best:
            best = differs[top, left]
            chosen = mirrored[top : top + part.shape[0], left : left + part.shape[1]]
    return chosen


def _correlated(values: FloatArray, kernel: FloatArray) -> FloatArray:
    found: FloatArray = fftconvolve(values, kernel[::-1, ::-1], mode="valid")
    return found


def _grained(image: FloatArray, hidden: Mask, rng: np.random.Generator) -> FloatArray:
    """The picture with the level of what surrounds the hidden pixels, and its grain moved there.

    The level is a Gaussian mean over the pixels outside, with the narrowest Gaussian that reaches some; the
    grain comes from where it overlaps what is hidden the least.
    """
    grain = image - _blurred(image, GRAIN)
    moves = [(int(rng.integers(hidden.shape[0])), int(rng.integers(hidden.shape[1]))) for _ in range(16)]
    move = min(moves, key=lambda by: np.count_nonzero(hidden & np.roll(hidden, by, (0, 1))))
    filled = (_surroundings(image, hidden) + np.roll(grain, move, (0, 1))).clip(0, 1)
    painted: FloatArray = np.where(hidden[..., None], filled, image).astype(np.float32)
    return painted


def _surroundings(image: FloatArray, hidden: Mask) -> FloatArray:
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


def _blurred(image: FloatArray, sigma: float, mode: str = "nearest") -> FloatArray:
    blurred: FloatArray = gaussian_filter(image, (sigma, sigma, 0), mode=mode)
    return blurred
