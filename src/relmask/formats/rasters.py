"""Masks and relevance as images of the picture's size."""

from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from relmask.files import whole


def write_mask(path: Path, mask: NDArray[np.uint8], colours: NDArray[np.uint8]) -> None:
    """Write a mask as an 8-bit palette PNG: the pixel is the class, the palette only its colour.

    Args:
        path: ends in .png.
        mask: (H, W), 0 = background, k = k-th class.
        colours: (classes + 1, 3) RGB, one row a value of the mask.

    Raises:
        OutError: the place cannot be written.
    """
    picture = Image.fromarray(mask)
    picture.putpalette(colours.tobytes())
    with whole(path) as part:
        picture.save(part, format="PNG")


def write_relevance(path: Path, relevance: NDArray[np.float32]) -> None:
    """Write a relevance map (H, W), in logits a pixel, as a float32 TIFF without loss.

    Raises:
        OutError: the place cannot be written.
    """
    with whole(path) as part:
        tifffile.imwrite(part, relevance.astype(np.float32, copy=False), compression="zlib")
