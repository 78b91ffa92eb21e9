"""TIFFs that Pillow cannot open, or would cut to 8 bits: read by tifffile."""

import lzma
import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from relmask.arrays import AnyArray
from relmask.data.decoded import Decoded
from relmask.errors import ImageError

ORIENTATION = 0x0112
"""Number of the tag that turns a picture, in TIFF and in EXIF data."""
_BITS_PER_SAMPLE = 258
_COMPRESSION = 259
_PHOTOMETRIC = 262
_EXTRA_SAMPLES = 338
_SAMPLE_FORMAT = 339
_SIGNED = 2
_MIN_IS_WHITE = 0
_MIN_IS_BLACK = 1
_INKS = 5
_ALPHA = (1, 2)  # kinds of extra samples: premultiplied or not
_LOSSY = frozenset({6, 7, 22610, 33003, 33004, 33005, 34712, 34892, 34934, 50001, 50002})
"""Compressions by JPEG, JPEG 2000, JPEG XR, WebP and JPEG XL."""


def is_tiff(path: Path) -> bool:
    """Whether the name of a file ends as that of a TIFF."""
    return path.suffix.lower() in (".tif", ".tiff")


def is_deep_tiff(image: Image.Image) -> bool:
    """Whether Pillow would cut the colours of a TIFF to 8 bits, or lose the sign of its values."""
    tags: Any = getattr(image, "tag_v2", {})
    bits = tags.get(_BITS_PER_SAMPLE, (8,))
    signed = _SIGNED in tags.get(_SAMPLE_FORMAT, ()) and max(bits) == 8
    return signed or (len(bits) > 1 and max(bits) > 8)


def is_lossy_tiff(image: Image.Image) -> bool:
    """Whether a picture that Pillow opened is a TIFF whose compression loses something."""
    tags: Any = getattr(image, "tag_v2", {})
    return tags.get(_COMPRESSION) in _LOSSY


def ignored_channels(image: Image.Image) -> int:
    """How many channels Pillow drops from a TIFF, since nothing says what they are."""
    tags: Any = getattr(image, "tag_v2", {})
    return sum(kind not in _ALPHA for kind in tags.get(_EXTRA_SAMPLES, ()))


def white_is_zero(image: Image.Image) -> bool:
    """Whether a picture that Pillow opened is a TIFF in which 0 is white."""
    tags: Any = getattr(image, "tag_v2", {})
    return bool(tags.get(_PHOTOMETRIC) == _MIN_IS_WHITE)


def pages_of(path: Path) -> int:
    """How many pages of its full size a TIFF has; smaller copies of the first do not count."""
    with tifffile.TiffFile(path) as file:
        pages: Any = file.pages
        return sum(not page.is_reduced for page in (page.aspage() for page in pages))


def decode_tiff(path: Path) -> Decoded:
    """The first page of a TIFF. 0 is black, whatever the file says, and inks have become RGB.

    Raises:
        ImageError: it holds something else than a grey or a colour picture.
        ValueError, KeyError: a compression that tifffile leaves to imagecodecs.
    """
    with tifffile.TiffFile(path) as file:
        page: Any = file.pages[0]
        tag, axes = page.tags.get(ORIENTATION), page.axes
        pixels = page.asarray()
    if axes == "SYX":
        pixels, axes = np.moveaxis(pixels, 0, -1), "YXS"
    if axes not in ("YX", "YXS") or pixels.dtype.kind not in "buif":
        raise ImageError(f"{path}: holds {pixels.dtype} values along {axes}. Save it as a grey or RGB TIFF.")
    pixels = _turned(pixels, int(tag.value) if tag is not None else 1)
    lossy = page.compression in _LOSSY
    if page.photometric == _MIN_IS_WHITE:
        pixels = from_white(pixels, page.bitspersample)
    if pixels.ndim == 2:
        return Decoded(pixels, lossy=lossy)
    count = pixels.shape[2]
    kinds = dict(enumerate(page.extrasamples, start=count - len(page.extrasamples)))
    alpha = next((pixels[:, :, place] for place, kind in kinds.items() if kind in _ALPHA), None)
    if page.photometric == _INKS and count >= 4:
        return Decoded(_printed(pixels[:, :, :4]), alpha, lossy=lossy)
    colours = 3 if page.photometric > _MIN_IS_BLACK and count >= 3 else 1
    ignored = count - colours - (alpha is not None)
    values = pixels[:, :, :3] if colours + ignored >= 3 else pixels[:, :, 0]
    return Decoded(values, alpha, lossy=lossy, ignored=ignored)


def from_white(values: AnyArray, bits: int) -> AnyArray:
    """Values that count from white, as values that count from black."""
    black = 2**bits - 1 if values.dtype.kind == "u" else 1
    turned: AnyArray = ~values if values.dtype == bool else values.dtype.type(black) - values
    return turned


def _printed(inks: AnyArray) -> AnyArray:
    """Cyan, magenta, yellow and black (H, W, 4) as RGB (H, W, 3) of the same type."""
    top = np.iinfo(inks.dtype).max if inks.dtype.kind in "ui" else 1
    left = top - inks.astype(np.float64)
    shown = left[:, :, :3] * left[:, :, 3:] / top
    return (shown.round() if top > 1 else shown).astype(inks.dtype)


def _turned(pixels: AnyArray, orientation: int) -> AnyArray:
    """Pixels (H, W, ...) turned as an orientation of TIFF or EXIF, 1 to 8, says."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def tiff_pixels(path: Path) -> int:
    """How many pixels `decode_tiff` holds at once; see `decoding.pixels_to_decode`.

    tifffile takes whatever a compressed part of the file swells to, so the parts are measured.

    Raises:
        ImageError: its compressed data hold more than its header says.
    """
    with tifffile.TiffFile(path) as file:
        page: Any = file.pages[0]
        content: Any = file.filehandle
        values = max(math.prod(page.chunks), math.prod(page.shape))
        held = max(page.imagewidth * page.imagelength, values // 4)
        if page.compression in _INFLATED:
            most = math.prod(page.chunks) * page.dtype.itemsize
            for data, _ in content.read_segments(page.dataoffsets, page.databytecounts):
                if data and len(_INFLATED[page.compression](data, most + 1)) > most:
                    raise ImageError(f"{path}: holds more data than its header says. Save it again.")
        return int(held)


def _inflate(data: bytes, most: int) -> bytes:
    return zlib.decompressobj().decompress(data, most)


def _unpack_lzma(data: bytes, most: int) -> bytes:
    return lzma.LZMADecompressor().decompress(data, most)


_INFLATED: dict[int, Callable[[bytes, int], bytes]] = {
    8: _inflate,  # Deflate by the names that TIFF has for it
    32946: _inflate,
    50013: _inflate,
    34925: _unpack_lzma,
}
