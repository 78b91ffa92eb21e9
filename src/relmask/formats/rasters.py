"""Masks and relevance as images of the picture's size; masks inside of documents."""

import base64
import io
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from relmask.arrays import ByteArray, FloatArray, Mask
from relmask.files import whole
from relmask.formats.fields import Damaged


def write_mask(path: Path, mask: ByteArray, colours: ByteArray) -> None:
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


def write_relevance(path: Path, relevance: FloatArray) -> None:
    """Write a relevance map (H, W), in logits a pixel, as a float32 TIFF without loss.

    Raises:
        OutError: the place cannot be written.
    """
    with whole(path) as part:
        tifffile.imwrite(part, relevance.astype(np.float32, copy=False), compression="zlib")


def read_inline(code: object) -> Mask:
    """The mask (h, w) that is a PNG file in base64, with or without `data:image/png;base64,` before it.

    Inside is what is not transparent, or, where nothing can be, what is not black.

    Raises:
        Damaged: it is no such file.
    """
    try:
        content = base64.b64decode(str(code).rpartition(",")[2], validate=True)
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            alpha = (
                image.convert("RGBA").getchannel("A") if image.has_transparency_data else image.convert("L")
            )
            return np.asarray(alpha) > 0
    except Exception as error:  # decoders raise whatever a damaged file leads them to
        raise Damaged("a mask should be a PNG file in base64") from error
