"""Pictures as users have them, checked once: a path, a PIL image, an array or a tensor."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from relmask.arrays import FloatArray
from relmask.data.decoding import pixels_of
from relmask.data.reading import Intensity, read_image, scaled
from relmask.errors import UsageError

Picture = Path | str | Image.Image | NDArray[np.generic] | Tensor
"""What `Run.segment` takes."""

_TAKES = (
    "A picture is a path, a PIL image, an array (H, W), (H, W, 1) or (H, W, 3), or a tensor of these shapes, "
    "(1, H, W) or (3, H, W); its values are uint8, uint16, or floats in [0, 1]."
)


def as_image(picture: Picture, intensity: Intensity) -> FloatArray:
    """The picture as an array (H, W, 3), float32 in [0, 1].

    Args:
        picture: uint8 values are divided by 255; uint16 values are mapped by `intensity`, as those of files
            are; floats have to lie in [0, 1] and are taken as they are.
        intensity: the range of high-bit-depth pictures.

    Raises:
        ImageError: a file that cannot be read.
        UsageError: anything else that is no picture.
    """
    if isinstance(picture, str | Path):
        return read_image(Path(picture), intensity)
    if isinstance(picture, Image.Image):
        return scaled(pixels_of(picture), intensity)
    if isinstance(picture, Tensor):
        pixels = picture.detach().to("cpu", torch.float32 if picture.is_floating_point() else None).numpy()
        if pixels.ndim == 3 and pixels.shape[0] in (1, 3):
            pixels = pixels.transpose(1, 2, 0)
    elif isinstance(picture, np.ndarray):
        pixels = picture
    else:
        raise UsageError(f"A picture cannot be a {type(picture).__name__}. {_TAKES}")
    return _checked(pixels, intensity)


def _checked(pixels: NDArray[np.generic], intensity: Intensity) -> FloatArray:
    shape = "x".join(map(str, pixels.shape)) or "no"
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise UsageError(f"The picture has {shape} values, which is no picture's shape. {_TAKES}")
    if not pixels.size:
        raise UsageError(f"The picture has {shape} values: it is empty.")
    if pixels.dtype in (np.uint8, np.uint16):
        return scaled(np.ascontiguousarray(pixels), intensity)
    if pixels.dtype.kind != "f":
        raise UsageError(f"The picture has values of type {pixels.dtype}. {_TAKES}")
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 1):  # also where a value is NaN
        hint = " Divide it by 255." if low >= 0 and 1 < high <= 255 else ""
        raise UsageError(f"The picture has float values from {low:.4g} to {high:.4g}, not in [0, 1].{hint}")
    whole = pixels.astype(np.float32)
    return whole if whole.ndim == 3 else np.repeat(whole[:, :, None], 3, axis=2)
