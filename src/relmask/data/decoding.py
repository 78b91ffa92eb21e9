"""From a picture file to its pixels, whatever a camera, a scanner or a colleague made of it."""

import lzma
import math
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from relmask.errors import ImageError

Pixels = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]

# Line-scan pictures are large on purpose. Pillow still refuses what has twice its limit, 179 megapixels.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

# EPS and the like would start other programs.
_WANTED = ("JPEG", "PNG", "TIFF", "BMP", "DIB", "WEBP", "GIF", "JPEG2000", "PPM", "AVIF")
# What the opener of JPEG finds to be several pictures, Pillow calls MPO; there is no opener of that name.
SUFFIXES = frozenset(
    suffix for suffix, name in Image.registered_extensions().items() if name in (*_WANTED, "MPO")
)
_FORMATS = tuple(name for name in _WANTED if name in Image.OPEN)
_GREY = ("1", "L")
_DEEP_GREY = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
_LOSSY = ("JPEG", "MPO")
_ORIENTATION = 0x0112
_BITS_PER_SAMPLE = 258
# Pillow keeps the high byte of 16-bit colours. Read in the other byte order, the file yields the low one.
_OTHER_ORDER = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
_LOW_BYTE = {
    f"{mode};16{order}": f"{mode};16{other}"
    for mode in ("RGB", "RGBA", "RGBX")
    for order, other in _OTHER_ORDER.items()
}


def read_pixels(path: Path) -> Pixels:
    """Pixels as the file holds them: (H, W) or (H, W, 3), uint8, uint16 or float32 (everything else).

    They are turned as the EXIF orientation says; of several pages or frames, the first is read. Palettes,
    CMYK, YCbCr and Lab become RGB; transparency and channels past the third are dropped. Colours of 16 bits
    are kept whole in PNG and TIFF, but not with CMYK or grey with transparency, which come as uint8.

    Raises:
        ImageError: the file is no picture, is damaged or too large, or may not be read.
    """
    try:
        pixels = _decode(path)
    except ImageError:
        raise
    except Exception as error:  # decoders raise whatever a damaged file leads them to
        raise ImageError(f"{path}: {_reason(error)}") from error
    if not pixels.size:
        raise ImageError(f"{path}: has no pixels.")
    return pixels


def read_values(path: Path) -> tuple[NDArray[np.integer], bool]:
    """Values (H, W) of a mask's file, turned by EXIF orientation, and whether it is compressed with loss.

    Palettes give their indices, colours the highest of red, green and blue; transparency is dropped. Raises
    whatever a damaged file leads a decoder to.
    """
    with opened(path) as image:
        lossy = image.format in _LOSSY
        array = np.asarray(_plain(turned(image)))
    if array.ndim == 3:
        different = not lossy and (array != array[:, :, :1]).any()
        array = array.max(axis=2) if different else array[:, :, 0]
    return array if array.dtype == np.uint8 else array.astype(np.int64), lossy


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
            return (
                (width, height) if image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8) else (height, width)
            )
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
    try:
        try:
            with opened(path) as image:
                if not _is_deep_tiff(image):
                    return image.width * image.height
        except UnidentifiedImageError:
            if not _is_tiff(path):
                raise
        return _tiff_pixels(path)
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(f"{path}: {_reason(error)}") from error


def is_deep(path: Path) -> bool:
    """Whether the file's header says that it may hold more than 8 bits a value."""
    try:
        with opened(path) as image:
            return image.mode in _DEEP_GREY or _is_deep_tiff(image) or _is_deep_colour(image)
    except Exception:
        return _is_tiff(path)


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
    with path.open("rb") as file, Image.open(file, formats=_FORMATS) as image:
        yield image


def _decode(path: Path) -> Pixels:
    try:
        with opened(path) as image:
            if _is_deep_tiff(image):
                return _decode_tiff(path)
            if _is_deep_colour(image):
                return _decode_both_bytes(path)
            return pixels_of(image)
    except UnidentifiedImageError:
        if _is_tiff(path):
            return _decode_tiff(path)
        raise


def pixels_of(image: Image.Image) -> Pixels:
    """What `read_pixels` gives of a picture that Pillow has opened, colours of more than 8 bits cut to 8."""
    return _array(turned(image))


def _array(image: Image.Image) -> Pixels:
    if image.mode in _GREY:
        return np.asarray(image.convert("L"))
    if image.mode in _DEEP_GREY:
        return _narrowed(np.asarray(image))
    if image.mode in ("P", "PA", "La", "RGBa"):
        image = image.convert("RGBA")
    return np.asarray(image.convert("RGB"))


def _plain(image: Image.Image) -> Image.Image:
    """Palette masks keep their indices; colours and grey with transparency lose the latter."""
    if image.mode in ("1", "L", "P", *_DEEP_GREY):
        return image
    return image.convert("L" if image.mode in ("LA", "La") else "RGB")


def _is_tiff(path: Path) -> bool:
    return path.suffix.lower() in (".tif", ".tiff")


def _is_deep_tiff(image: Image.Image) -> bool:
    bits: Any = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,))
    return len(bits) > 1 and max(bits) > 8


def _is_deep_colour(image: Image.Image) -> bool:
    tiles: Any = getattr(image, "tile", None)
    return bool(tiles) and all(_raw_mode(tile) in _LOW_BYTE for tile in tiles)


def _raw_mode(tile: Any) -> str:  # noqa: ANN401 - Pillow's tile
    return str(tile.args if isinstance(tile.args, str) else tile.args[0])


def _decode_both_bytes(path: Path) -> Pixels:
    with opened(path) as image:
        high = np.asarray(turned(image).convert("RGB")).astype(np.uint16)
    with opened(path) as image:
        source: Any = image
        source.tile = [_with_low_byte(tile) for tile in source.tile]
        low = np.asarray(turned(image).convert("RGB"))
    pixels: NDArray[np.uint16] = high << 8 | low
    return pixels


def _with_low_byte(tile: Any) -> Any:  # noqa: ANN401 - Pillow's tile
    mode = _LOW_BYTE[_raw_mode(tile)]
    return tile._replace(args=mode if isinstance(tile.args, str) else (mode, *tile.args[1:]))


def _decode_tiff(path: Path) -> Pixels:
    """First page of a TIFF that Pillow cannot open or would cut to 8 bits."""
    with tifffile.TiffFile(path) as file:
        page: Any = file.pages[0]
        tag, axes = page.tags.get(_ORIENTATION), page.axes
        try:
            pixels = page.asarray()
        except (KeyError, ValueError):  # a compression that tifffile leaves to imagecodecs
            return _decode_both_bytes(path)
    if axes == "SYX":
        pixels, axes = np.moveaxis(pixels, 0, -1), "YXS"
    if axes not in ("YX", "YXS") or pixels.dtype.kind not in "buif":
        raise ImageError(f"{path}: holds {pixels.dtype} values along {axes}. Save it as a grey or RGB TIFF.")
    if pixels.ndim == 3:
        pixels = pixels[:, :, :3] if pixels.shape[2] >= 3 else pixels[:, :, 0]
    return _narrowed(_turned(pixels, int(tag.value) if tag is not None else 1))


def _tiff_pixels(path: Path) -> int:
    """Of a TIFF that tifffile will decode, which takes whatever a compressed part of the file swells to."""
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


def _turned(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def _narrowed(pixels: NDArray[Any]) -> Pixels:
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype.kind == "u" and pixels.dtype.itemsize == 2:
        return pixels.astype(np.uint16)
    return pixels.astype(np.float32)


def _reason(error: Exception) -> str:
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
            return f"{error} Cut it up; or, if you trust it, raise PIL.Image.MAX_IMAGE_PIXELS."
        case MemoryError():
            return "does not fit into memory. Cut it up."
    return f"cannot be decoded ({type(error).__name__}: {error}). Save it again as PNG, JPEG or TIFF."
