"""Pictures to judge with the eye: relevance over the image, outlines of masks, several side by side."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from relmask.masks.colours import class_colours

FloatArray = NDArray[np.floating]
LabelArray = NDArray[np.integer]
Pixels = NDArray[np.uint8]  # (H, W, 3)

_FOR, _AGAINST = np.array([214, 39, 40]), np.array([33, 102, 200])


def overlay(image: FloatArray, relevance: FloatArray | None, limit: float) -> Pixels:
    """Relevance over the greyed image: red speaks for the class, blue against it.

    Args:
        image: (H, W, 3) in [0, 1].
        relevance: (H, W) in logits per pixel; None (not computed) shows the grey image alone.
        limit: relevance shown in full colour; one number for all images, or a clean image looks defective.

    Raises:
        ValueError: a limit that is not positive.
    """
    if not limit > 0:
        raise ValueError(f"limit must be positive, got {limit}")
    grey = np.repeat(image.mean(-1, keepdims=True), 3, -1) * 255
    if relevance is not None:
        strength = (np.abs(relevance / limit).clip(0, 1) ** 0.7)[..., None]
        grey = grey * (1 - strength) + np.where(relevance[..., None] > 0, _FOR, _AGAINST) * strength
    return _bytes(grey)


def outlined(image: FloatArray, mask: LabelArray) -> Pixels:
    """Image (H, W, 3) in [0, 1] with the border of each region of a mask (H, W) in its class's colour."""
    picture = _bytes(image * 255)
    for k in np.unique(mask[mask > 0]):
        inside = mask == k
        border = ndimage.binary_dilation(inside) & ~inside
        picture[border] = class_colours(int(k))[k]
    return picture


def painted(image: FloatArray, mask: LabelArray, strength: float = 0.75) -> Pixels:
    """Darkened grey image (H, W, 3) in [0, 1] under a mask (H, W) in the colours of its classes."""
    grey = np.repeat(image.mean(-1, keepdims=True), 3, -1) * 160
    colours = class_colours(int(mask.max(initial=0)))[mask]
    cover = strength * (mask > 0)[..., None]
    return _bytes(grey * (1 - cover) + colours * cover)


def fitted(picture: Pixels, longest: int) -> Pixels:
    """The picture, made smaller if its longer side exceeds `longest` pixels."""
    factor = longest / max(picture.shape[:2])
    return picture if factor >= 1 else _resized(picture, max(1, round(picture.shape[0] * factor)))


def found_and_missed(mask: LabelArray, truth: LabelArray) -> Pixels:
    """What was found and what was missed: green = both, red = mask alone, blue = truth alone, on black."""
    picture = np.zeros((*mask.shape, 3), np.uint8)
    picture[(mask > 0) & (truth > 0)] = (60, 190, 90)
    picture[(mask > 0) & (truth == 0)] = _FOR
    picture[(mask == 0) & (truth > 0)] = (70, 140, 255)
    return picture


def panel(pictures: Sequence[Pixels], *, height: int | None = None, gap: int = 4) -> Pixels:
    """Pictures side by side on white.

    Args:
        pictures: of one height and width, at least one.
        height: of the panel in pixels; None keeps that of the pictures. Enlarging does not smooth.
        gap: white pixels between two.
    """
    if height is not None:
        pictures = [_resized(picture, height) for picture in pictures]
    white = np.full((pictures[0].shape[0], gap, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (white, picture)][1:]
    return np.concatenate(parts, 1)


def data_uri(picture: Pixels, quality: int | None = 80) -> str:
    """A picture as `data:` address: JPEG of this quality, or PNG with None."""
    file = io.BytesIO()
    image = Image.fromarray(picture)
    if quality is None:
        image.save(file, "PNG", optimize=True)
    else:
        image.save(file, "JPEG", quality=quality, subsampling=0)  # optimize fails on noise
    kind = "png" if quality is None else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def _resized(picture: Pixels, height: int) -> Pixels:
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    kind = Image.Resampling.NEAREST if height >= picture.shape[0] else Image.Resampling.BOX
    return np.asarray(Image.fromarray(picture).resize((width, height), kind))


def _bytes(values: FloatArray) -> Pixels:
    return np.round(values).clip(0, 255).astype(np.uint8)
