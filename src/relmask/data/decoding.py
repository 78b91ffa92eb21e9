"""From a picture file to its pixels, whatever a camera, a scanner or a colleague made of it."""

import os
import struct
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from relmask.arrays import Pixels
from relmask.data.decoded import Decoded
from relmask.data.tiff import (
    ORIENTATION,
    decode_tiff,
    from_white,
    ignored_channels,
    is_deep_tiff,
    is_lossy_tiff,
    is_tiff,
    pages_of,
    tiff_pixels,
    white_is_zero,
)
from relmask.errors import ImageError

# EPS and the like would start other programs.
_WANTED = ("JPEG", "PNG", "TIFF", "BMP", "DIB", "WEBP", "GIF", "JPEG2000", "PPM", "AVIF")
# What the opener of JPEG finds to be several pictures, Pillow calls MPO; there is no opener of that name.
SUFFIXES = frozenset(
    suffix for suffix, name in Image.registered_extensions().items() if name in (*_WANTED, "MPO")
)
_FORMATS = tuple(name for name in _WANTED if name in Image.OPEN)
_DEEP_GREY = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
_GREY = ("1", "L", *_DEEP_GREY)
_LOSSY = ("JPEG", "MPO", "JPEG2000", "AVIF")  # the last two have an exact kind that their headers do not tell
# Pillow keeps the high byte of 16-bit colours. Read in the other byte order, the file yields the low one.
_OTHER_ORDER = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
_LOW_BYTE = {
    f"{mode};16{order}": f"{mode};16{other}"
    for mode in ("RGB", "RGBA", "RGBX")
    for order, other in _OTHER_ORDER.items()
}
_DEEP_GREY_ALPHA = "LA;16B"


def read_pixels(path: Path) -> Pixels:
    """Pixels as the file holds them: (H, W) or (H, W, 3), uint8, uint16 or float32 (everything else).

    They are turned as the EXIF orientation says; of several pages or frames, the first is read. Palettes,
    CMYK, YCbCr and Lab become RGB; transparency and channels past the third are dropped.

    Raises:
        ImageError: the file is no picture, is damaged or too large, or may not be read.
    """
    return decode(path).pixels()


def decode(path: Path) -> Decoded:
    """All that a file says about its pixels; of several pages or frames, the first.

    Raises:
        ImageError: the file is no picture, is damaged or too large, or may not be read.
    """
    with _explained(path):
        decoded = _decode(path)
    if not decoded.values.size:
        raise ImageError(f"{path}: has no pixels.")
    return decoded


def frames(path: Path) -> int:
    """How many pages or frames a file has; smaller copies of the first page do not count.

    Raises:
        ImageError: as `read_pixels`.
    """
    with _explained(path):
        try:
            with opened(path) as image:
                # what follows the first picture of a JPEG is a preview, or made for other screens
                count = 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))
                return pages_of(path) if image.format == "TIFF" and count > 1 else count
        except UnidentifiedImageError:
            return pages_of(path)


def image_size(path: Path) -> tuple[int, int]:
    """Height and width of what `read_pixels` gives; the pixels themselves are seldom decoded.

    Raises:
        ImageError: as `read_pixels`.
    """
    try:
        with opened(path) as image:
            width, height = image.size
            if image.format == "TIFF":  # Pillow gives the size of the turned picture
                return height, width
            return (width, height) if image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8) else (height, width)
    except Exception:
        height, width = read_pixels(path).shape[:2]
        return height, width


def pixels_to_decode(path: Path) -> int:
    """How many pixels decoding the file holds at once, from its header: nothing is decoded into memory.

    It is what a program that takes files from strangers asks before `read_pixels`: the size of the picture,
    more where a TIFF has many channels or tiles larger than itself.

    Raises:
        ImageError: the file is no picture, or a TIFF whose compressed data hold more than its header says.
    """
    with _explained(path):
        try:
            with opened(path) as image:
                if not is_deep_tiff(image):
                    return image.width * image.height
        except UnidentifiedImageError:
            if not is_tiff(path):
                raise
        return tiff_pixels(path)


def is_deep(path: Path) -> bool:
    """Whether the file's header says that it may hold more than 8 bits a value."""
    try:
        with opened(path) as image:
            return (
                image.mode in _DEEP_GREY
                or is_deep_tiff(image)
                or _is_deep_colour(image)
                or _raw_modes(image) == {_DEEP_GREY_ALPHA}
            )
    except Exception:
        return is_tiff(path)


def turned(image: Image.Image) -> Image.Image:
    """The decoded picture, turned as its EXIF orientation says; damaged EXIF data count as none."""
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        return image


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """The picture in a file, not decoded yet.

    Pillow gets the open file and not its name: with the name it would map a plain TIFF into memory, and
    garble one that has to be turned (seen in 13.0).
    """
    with path.open("rb") as file, _identified(file) as image:
        yield image


def _identified(file: IO[bytes]) -> Image.Image:
    """As `Image.open`, which warns of pictures over 89 megapixels: line-scan pictures are that on purpose.

    A filter of warnings would hold for the whole process, and for all threads. What has twice the limit is
    refused, as Pillow does.
    """
    start = file.read(16)
    for name in _FORMATS:
        factory, accept = Image.OPEN[name]
        try:
            accepted = accept is None or accept(start)
            if isinstance(accepted, str) or not accepted:  # text says why not
                continue
            file.seek(0)
            image = factory(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error):
            continue
        if Image.MAX_IMAGE_PIXELS and image.width * image.height > 2 * Image.MAX_IMAGE_PIXELS:
            raise Image.DecompressionBombError(f"{image.width}x{image.height}")
        return image
    raise UnidentifiedImageError


def _decode(path: Path) -> Decoded:
    try:
        with opened(path) as image:
            if is_deep_tiff(image):
                try:
                    return decode_tiff(path)
                except (KeyError, ValueError):  # a compression that tifffile leaves to imagecodecs
                    pass
            lossy = _is_lossy(image, path)
            if _is_deep_colour(image):
                return _with_both_bytes(path, lossy)
            if _raw_modes(image) == {_DEEP_GREY_ALPHA}:
                return _deep_grey_with_alpha(image)
            return _decoded(image, lossy)
    except UnidentifiedImageError:
        if is_tiff(path):
            return decode_tiff(path)
        raise


def pixels_of(image: Image.Image) -> Pixels:
    """What `read_pixels` gives of a picture that Pillow has opened, colours of more than 8 bits cut to 8."""
    return _decoded(image, lossy=False).pixels()


def _decoded(image: Image.Image, lossy: bool) -> Decoded:
    inverted = image.mode in _DEEP_GREY and white_is_zero(image)  # Pillow inverts the others
    ignored = ignored_channels(image)
    image = turned(image)
    if image.mode in _GREY:
        values = np.asarray(image)
        key = image.info.get("transparency")  # the one value that is not to be seen
        alpha = None if key is None else values != values.dtype.type(key)
        values = from_white(values, 16) if inverted else values
        return Decoded(values, alpha, lossy=lossy, ignored=ignored)
    indices = np.asarray(image) if image.mode == "P" else None
    if not image.has_transparency_data:
        return Decoded(np.asarray(image.convert("RGB")), None, indices, lossy, ignored)
    image = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    return Decoded(
        np.asarray(image.convert("RGB")), np.asarray(image.getchannel("A")), indices, lossy, ignored
    )


def _is_lossy(image: Image.Image, path: Path) -> bool:
    if image.format == "WEBP":
        with path.open("rb") as file:
            return _is_lossy_webp(file)
    return image.format in _LOSSY or is_lossy_tiff(image)


def _is_lossy_webp(file: IO[bytes]) -> bool:
    """Whether the first of its chunks that holds pixels is not of the exact kind."""
    file.seek(12)
    while len(head := file.read(8)) == 8:
        kind, length = struct.unpack("<4sI", head)
        if kind in (b"VP8 ", b"VP8L"):
            return bool(kind == b"VP8 ")
        file.seek(16 if kind == b"ANMF" else length + length % 2, 1)  # a frame holds chunks itself
    return True


def _is_deep_colour(image: Image.Image) -> bool:
    modes = _raw_modes(image)
    return bool(modes) and modes <= _LOW_BYTE.keys()


def _raw_modes(image: Image.Image) -> set[str]:
    tiles: Any = getattr(image, "tile", None) or ()
    return {_raw_mode(tile) for tile in tiles}


def _raw_mode(tile: Any) -> str:  # noqa: ANN401 - Pillow's tile
    return str(tile.args if isinstance(tile.args, str) else (tile.args or ("",))[0])


def _with_both_bytes(path: Path, lossy: bool) -> Decoded:
    with opened(path) as image:
        key = image.info.get("transparency")
        high = np.asarray(turned(image)).astype(np.uint16)
    with opened(path) as image:
        _read_as(image, _LOW_BYTE)
        low = np.asarray(turned(image))
    channels: NDArray[np.uint16] = high << 8 | low
    colours = channels[:, :, :3]
    alpha = channels[:, :, 3] if channels.shape[2] == 4 else None
    return Decoded(colours, alpha if key is None else (colours != key).any(axis=2), lossy=lossy)


def _deep_grey_with_alpha(image: Image.Image) -> Decoded:
    """Grey and alpha of 16 bits, of which Pillow keeps the high bytes: read as four channels of 8 bits."""
    _read_as(image, {_DEEP_GREY_ALPHA: "RGBA"})
    parts = np.asarray(turned(image)).astype(np.uint16)
    return Decoded(parts[:, :, 0] << 8 | parts[:, :, 1], parts[:, :, 2] << 8 | parts[:, :, 3])


def _read_as(image: Image.Image, modes: Mapping[str, str]) -> None:
    """Have a picture that is not decoded yet decoded by other raw modes."""
    source: Any = image
    for number, tile in enumerate(source.tile):
        mode = modes[_raw_mode(tile)]
        args = mode if isinstance(tile.args, str) else (mode, *tile.args[1:])
        source.tile[number] = tile._replace(args=args)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn whatever a damaged file leads a decoder to raise into an ImageError."""
    try:
        yield
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(f"{path}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """What a decoder's error means to a user, and what to do."""
    match error:
        case FileNotFoundError():
            return "no such file."
        case PermissionError():
            return "no permission to read it."
        case IsADirectoryError():
            return "is a folder."
        case UnidentifiedImageError() | tifffile.TiffFileError():
            return "is no picture in a known format, or is damaged. Save it again as PNG, JPEG or TIFF."
        case Image.DecompressionBombError():
            return (
                "has more than the 179 megapixels that Pillow takes by default. Cut it up; or, if you trust "
                "it, raise PIL.Image.MAX_IMAGE_PIXELS."
            )
        case MemoryError():
            return "does not fit into memory. Cut it up."
        case OSError() if error.errno is not None:
            return f"cannot be read ({os.strerror(error.errno)}). Check the file and its disk."
    return "is damaged, or of a kind that cannot be decoded. Save it again as PNG, JPEG or TIFF."
