import io
import struct
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from relmask.data.decoding import SUFFIXES, decode, image_size, is_deep, pixels_to_decode, read_pixels
from relmask.errors import ImageError
from tests.data.pictures import write_png16

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (5, 7), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (5, 7, 3), dtype=np.uint16)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".webp", ".pgm", ".gif"])
def test_grey_comes_back_exactly(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(GREY).save(path, lossless=True)
    pixels = read_pixels(path)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels if pixels.ndim == 2 else pixels[..., 0], GREY)
    assert not is_deep(path)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "1", "CMYK", "YCbCr", "LAB", "L"])
def test_every_8_bit_mode_becomes_grey_or_rgb(tmp_path: Path, mode: str) -> None:
    source = Image.fromarray(COLOUR).convert("RGB" if mode == "LAB" else mode)
    suffix = ".tif" if mode in ("CMYK", "YCbCr", "LAB") else ".png"
    if mode == "LAB":
        source = Image.frombytes("LAB", (7, 5), COLOUR.tobytes())
    source.save(tmp_path / f"a{suffix}")
    pixels = read_pixels(tmp_path / f"a{suffix}")
    assert pixels.dtype == np.uint8
    assert pixels.shape in ((5, 7), (5, 7, 3))
    if mode == "RGB":
        np.testing.assert_array_equal(pixels, COLOUR)


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(GREY > 100).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.png"), (GREY > 100) * np.uint8(255))


def test_transparency_is_dropped(tmp_path: Path) -> None:
    alpha = np.dstack([COLOUR, GREY])
    Image.fromarray(alpha).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.png"), COLOUR)
    palette = Image.fromarray(COLOUR).quantize(8)
    palette.save(tmp_path / "opaque.png")
    palette.save(tmp_path / "p.png", transparency=bytes(range(8)))
    np.testing.assert_array_equal(read_pixels(tmp_path / "p.png"), read_pixels(tmp_path / "opaque.png"))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bit_png_keeps_all_its_bits(tmp_path: Path, channels: int) -> None:
    pixels = RNG.integers(0, 65536, (5, 7, channels), dtype=np.uint16)
    write_png16(tmp_path / "a.png", pixels)
    expected = pixels[..., 0] if channels == 1 else pixels[..., :3]
    found = read_pixels(tmp_path / "a.png")
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, expected)
    assert is_deep(tmp_path / "a.png")


def test_16_bit_grey_with_transparency_keeps_all_its_bits(tmp_path: Path) -> None:
    write_png16(tmp_path / "a.png", DEEP[..., :2])
    found = decode(tmp_path / "a.png")
    np.testing.assert_array_equal(found.pixels(), DEEP[..., 0])
    np.testing.assert_array_equal(found.alpha, DEEP[..., 1])
    assert is_deep(tmp_path / "a.png")


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "f4"])
def test_grey_that_counts_from_white_is_turned_round(
    tmp_path: Path, byteorder: Literal["<", ">"], dtype: str
) -> None:
    black = np.iinfo(dtype).max if dtype[0] == "u" else 1
    values = np.array(GREY, dtype)
    photometric: dict[str, Any] = {"photometric": "miniswhite", "byteorder": byteorder}
    tifffile.imwrite(tmp_path / "a.tif", (black - values).astype(dtype), **photometric)
    np.testing.assert_allclose(read_pixels(tmp_path / "a.tif"), values, atol=256 if dtype == "u4" else 0)


def test_inks_of_16_bits_become_colours(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", np.dstack([65535 - DEEP, DEEP[..., :1] * 0]), photometric="separated"
    )
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.tif"), DEEP)


def test_premultiplied_grey_is_read(tmp_path: Path) -> None:
    values = np.dstack([GREY, GREY | 255])
    tifffile.imwrite(
        tmp_path / "a.tif",
        values,
        photometric="minisblack",
        extrasamples=["assocalpha"],
        planarconfig="contig",
    )
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.tif")[..., 0], GREY)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_16_bit_colour_tiff_keeps_all_its_bits(
    tmp_path: Path, compression: str | None, planes: str, byteorder: Literal["<", ">"]
) -> None:
    path = tmp_path / "a.tif"
    pixels = DEEP if planes == "contig" else np.moveaxis(DEEP, -1, 0)
    tifffile.imwrite(
        path, pixels, photometric="rgb", planarconfig=planes, compression=compression, byteorder=byteorder
    )
    np.testing.assert_array_equal(read_pixels(path), DEEP)
    assert is_deep(path)


@pytest.mark.parametrize("dtype", ["u2", "i2", "u4", "f2", "f4", "f8"])
def test_deep_grey_tiff_keeps_its_values(tmp_path: Path, dtype: str) -> None:
    values = (GREY.astype(np.float64) * 100).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
    found = read_pixels(tmp_path / "a.tif")
    assert found.dtype == (np.uint16 if dtype == "u2" else np.float32)
    np.testing.assert_array_equal(found, values.astype(found.dtype))
    assert is_deep(tmp_path / "a.tif")


def test_float_colours_are_read(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", COLOUR.astype(np.float32) / 255, photometric="rgb")
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.tif"), COLOUR.astype(np.float32) / 255)


def test_the_first_page_or_frame_is_read(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((4, 4), value, np.uint8)) for value in (10, 200)]
    for suffix in (".tif", ".gif"):
        frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:])
        assert read_pixels(tmp_path / f"a{suffix}").max() == 10
    tifffile.imwrite(tmp_path / "deep.tif", DEEP.transpose(2, 0, 1), photometric="minisblack")
    np.testing.assert_array_equal(read_pixels(tmp_path / "deep.tif"), DEEP[..., 0])


TURNS: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a.swapaxes(0, 1), 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", sorted(TURNS))
@pytest.mark.parametrize("kind", ["grey.png", "deep.png", "grey.tif", "deep.tif", "float.tif"])
def test_pictures_are_turned_as_their_exif_data_say(tmp_path: Path, orientation: int, kind: str) -> None:
    path = tmp_path / kind
    sources: dict[str, NDArray[Any]] = {"grey": GREY, "deep": DEEP, "float": COLOUR.astype(np.float64)}
    pixels = sources[path.stem]
    if path.suffix == ".png":
        exif = Image.Exif()
        exif[0x0112] = orientation
        if path.stem == "grey":
            Image.fromarray(pixels).save(path, exif=exif)
        else:
            write_png16(path, DEEP, exif=exif.tobytes())
    else:
        tags = [(0x0112, 3, 1, orientation, True)]
        photometric = "rgb" if pixels.ndim == 3 else "minisblack"
        tifffile.imwrite(path, pixels, photometric=photometric, extratags=tags)
    found = read_pixels(path)
    np.testing.assert_array_equal(found, TURNS[orientation](pixels))
    assert image_size(path) == found.shape[:2]


def test_damaged_exif_data_turn_nothing(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png", exif=b"Exif\0\0not a TIFF header")
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.png"), GREY)


def test_the_name_need_not_fit_the_format(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.jpg"), GREY)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.bmp", "a.webp"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
def test_truncated_files_are_image_errors(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ImageError, match=str(path)):
        read_pixels(path)
    if share == 0.0:
        with pytest.raises(ImageError, match=str(path)):
            image_size(path)


def test_what_is_no_picture_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_text("hello")
    (tmp_path / "b.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n")
    for name, said in (
        ("a.tif", "no picture"),
        ("b.png", "no picture"),
        ("c.png", "no such file"),
        (".", "folder"),
    ):
        with pytest.raises(ImageError, match=said):
            read_pixels(tmp_path / name)
    tifffile.imwrite(tmp_path / "volume.tif", np.zeros((4, 5), np.complex64))
    with pytest.raises(ImageError, match="complex64"):
        read_pixels(tmp_path / "volume.tif")


def test_decompression_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(ImageError, match="MAX_IMAGE_PIXELS"):
        read_pixels(tmp_path / "a.png")


def test_line_scan_pictures_are_large_on_purpose_and_nobody_elses_warnings_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)  # of 35: Pillow would warn, and warnings are errors
    before = list(warnings.filters)
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.png"), GREY)
    assert image_size(tmp_path / "a.png") == GREY.shape
    assert warnings.filters == before
    with pytest.raises(Image.DecompressionBombWarning):
        Image.open(tmp_path / "a.png")


def _encoded(name: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(COLOUR).save(stream, format=name)
    return stream.getvalue()


ENCODED = {name: _encoded(name) for name in ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")}


@given(
    name=st.sampled_from(sorted(ENCODED)),
    places=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=20),
)
def test_any_damage_ends_in_pixels_or_an_image_error(
    tmp_path_factory: pytest.TempPathFactory, name: str, places: list[tuple[int, int]]
) -> None:
    content = bytearray(ENCODED[name])
    for place, value in places:
        content[place % len(content)] = value
    path = tmp_path_factory.getbasetemp() / "damaged.tif"
    path.write_bytes(content)
    with suppress(ImageError):
        pixels = read_pixels(path)
        assert pixels.ndim in (2, 3)
        assert pixels.size


def test_the_usual_suffixes_are_known() -> None:
    assert {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".mpo", ".pgm", ".jp2"} <= SUFFIXES
    assert not SUFFIXES & {".csv", ".txt", ".pdf", ".eps", ".xml"}


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".gif", ".bmp"])
def test_the_header_tells_how_many_pixels_there_are(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(COLOUR).save(tmp_path / f"a{suffix}")
    assert pixels_to_decode(tmp_path / f"a{suffix}") == 35


@pytest.mark.parametrize("values", [DEEP, GREY.astype(np.float64), DEEP[..., :1].repeat(12, 2)])
def test_the_header_of_a_deep_tiff_tells_it_too(tmp_path: Path, values: NDArray[Any]) -> None:
    tifffile.imwrite(tmp_path / "a.tif", values, compression="zlib", planarconfig="contig")
    assert pixels_to_decode(tmp_path / "a.tif") == max(35, values.size // 4)


@pytest.mark.parametrize("compression", ["zlib", "lzma"])
def test_a_tiff_that_swells_is_refused_before_it_is_decoded(tmp_path: Path, compression: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4000, 4000, 3), np.uint16), compression=compression)
    data = (tmp_path / "a.tif").read_bytes()
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        page: Any = file.pages[0]
        tags = [page.tags[name] for name in ("ImageWidth", "ImageLength", "RowsPerStrip")]
    changed = bytearray(data)
    for tag in tags:
        struct.pack_into("<H" if tag.dtype.value == 3 else "<I", changed, tag.valueoffset, 5)
    (tmp_path / "a.tif").write_bytes(changed)
    with pytest.raises(ImageError, match=r"more data than its header says"):
        pixels_to_decode(tmp_path / "a.tif")


def test_what_is_no_picture_has_no_pixels_to_decode(tmp_path: Path) -> None:
    for name in ("a.png", "a.tif"):
        (tmp_path / name).write_bytes(b"no picture at all")
        with pytest.raises(ImageError, match="no picture"):
            pixels_to_decode(tmp_path / name)
