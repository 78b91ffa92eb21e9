import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from relmask.arrays import Mask
from relmask.data.mask_files import read_inside, read_values
from relmask.errors import ImageError
from tests.data.pictures import write_png16

Save = Callable[[Path, Mask], object]

ROWS, COLUMNS = np.mgrid[:32, :48]
SHAPE = (ROWS - 14) ** 2 + (COLUMNS - 20) ** 2 < 100


def white(inside: Mask) -> NDArray[np.uint8]:
    return inside * np.uint8(255)


def grey(inside: Mask) -> Image.Image:
    return Image.fromarray(white(inside))


def layers(inside: Mask, *channels: int | None) -> NDArray[np.uint8]:
    """Channels (H, W, C): each of one value all over, or, for None, white inside."""
    return np.dstack([white(inside) if c is None else np.full(inside.shape, c, np.uint8) for c in channels])


def palette(inside: Mask, *colours: tuple[int, int, int]) -> Image.Image:
    """Index 1 inside."""
    image = Image.fromarray(inside.astype(np.uint8))
    image.putpalette([value for colour in colours for value in colour])
    return image


def pillow(draw: Callable[[Mask], Image.Image], **options: Any) -> Save:  # noqa: ANN401
    return lambda path, inside: draw(inside).save(path, **options)


def tiff(values: Callable[[Mask], NDArray[Any]], **options: Any) -> Save:  # noqa: ANN401
    return lambda path, inside: tifffile.imwrite(path, values(inside), **options)


def png16(values: Callable[[Mask], NDArray[Any]]) -> Save:
    return lambda path, inside: write_png16(path, values(inside).astype(np.uint16))


BLACK, WHITE, RED = (0, 0, 0), (255, 255, 255), (255, 0, 0)
EXACT: dict[str, Save] = {
    "grey.png": pillow(grey),
    "grey.bmp": pillow(grey),
    "grey.pgm": pillow(grey),
    "one.png": pillow(lambda m: Image.fromarray(m.astype(np.uint8))),
    "bilevel.png": pillow(Image.fromarray),
    "bilevel.pbm": pillow(Image.fromarray),
    "fax.tif": pillow(Image.fromarray, compression="group4"),
    "colour.png": pillow(lambda m: grey(m).convert("RGB")),
    "red.png": pillow(lambda m: Image.fromarray(layers(m, None, 0, 0))),
    "exact.webp": pillow(lambda m: grey(m).convert("RGB"), lossless=True),
    "ink.tif": pillow(lambda m: grey(m).convert("CMYK")),
    "quantized.png": pillow(lambda m: grey(m).convert("RGB").quantize(2)),
    "quantized.bmp": pillow(lambda m: grey(m).convert("RGB").quantize(2)),
    "quantized.gif": pillow(lambda m: grey(m).convert("RGB")),
    "grey.gif": pillow(grey),
    "red-palette.png": pillow(lambda m: palette(m, BLACK, RED)),
    "white-palette.png": pillow(lambda m: palette(~m, WHITE, BLACK)),
    "transparent-palette.png": pillow(lambda m: palette(m, WHITE, RED), transparency=0),
    "opaque.png": pillow(lambda m: Image.fromarray(layers(m, None, None, None, 255))),
    "white-layer.png": pillow(lambda m: Image.fromarray(layers(m, 255, 255, 255, None))),
    "red-layer.png": pillow(lambda m: Image.fromarray(layers(m, None, 0, 0, None))),
    "white-grey-layer.png": pillow(lambda m: Image.fromarray(layers(m, 255, None), "LA")),
    "black-is-transparent.png": pillow(grey, transparency=0),
    "deep.png": pillow(lambda m: Image.fromarray(m.astype(np.uint16))),
    "deep-layer.png": png16(lambda m: np.dstack([m, m])),
    "deep-colour.png": png16(lambda m: np.dstack([m * 0, m, m * 0])),
    "deep-colour-layer.png": png16(lambda m: np.dstack([m, m * 0, m * 0, m])),
    **{
        f"{kind}.tif": tiff(lambda m, kind=kind: m.astype(kind), photometric="minisblack")  # type: ignore[misc]
        for kind in ("bool", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8")
    },
    "big-endian.tif": tiff(lambda m: m.astype(np.uint16), photometric="minisblack", byteorder=">"),
    "deep-colour.tif": tiff(lambda m: np.dstack([m, m * 0, m * 0]).astype(np.uint16), photometric="rgb"),
    "white-is-zero-1.tif": tiff(lambda m: ~m, photometric="miniswhite"),
    "white-is-zero-8.tif": tiff(lambda m: white(~m), photometric="miniswhite"),
    "white-is-zero-16.tif": tiff(
        lambda m: ~m.astype(np.uint16), photometric="miniswhite", compression="zlib"
    ),
    "white-is-zero-float.tif": tiff(lambda m: 1 - m.astype(np.float32), photometric="miniswhite"),
    "probable.tif": tiff(lambda m: np.where(m, 0.9, 0.1).astype(np.float32)),
    "float-255.tif": tiff(lambda m: np.where(m, 255.0, 0)),
    "nan-outside.tif": tiff(lambda m: np.where(m, 1, np.nan).astype(np.float32)),
}


@pytest.mark.parametrize("name", EXACT)
def test_what_a_person_sees_as_white_is_inside(tmp_path: Path, name: str) -> None:
    EXACT[name](tmp_path / name, SHAPE)
    np.testing.assert_array_equal(read_inside(tmp_path / name), SHAPE)


@given(name=st.sampled_from(sorted(EXACT)), inside=arrays(bool, (6, 9)))
def test_any_shape_comes_back_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, inside: Mask
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    EXACT[name](path, inside)
    with suppress(ImageError):
        np.testing.assert_array_equal(read_inside(path), inside)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.jpg", {"quality": 70}),
        ("a.webp", {"quality": 70}),
        ("a.avif", {"quality": 30}),
        ("a.jp2", {"quality_mode": "dB", "quality_layers": [30]}),
        ("a.tif", {"compression": "jpeg"}),
    ],
)
@pytest.mark.parametrize("colour", [WHITE, RED, (0, 255, 0)])
def test_lossy_formats_count_from_half_on(
    tmp_path: Path, name: str, options: dict[str, Any], colour: tuple[int, int, int]
) -> None:
    drawn = Image.fromarray(layers(SHAPE, *(None if value else 0 for value in colour)))
    try:
        drawn.save(tmp_path / name, **options)
    except (KeyError, OSError):
        pytest.skip(f"this Pillow does not write {name}")
    found = read_inside(tmp_path / name)
    assert (found != SHAPE).mean() < 0.02
    with pytest.raises(ImageError, match="does not keep values"):
        read_values(tmp_path / name, {255})


def test_an_animated_webp_tells_whether_it_is_exact(tmp_path: Path) -> None:
    """Its chunks lie inside those of its frames; a mask with frames is refused before that matters."""
    grey(SHAPE).save(tmp_path / "a.webp", save_all=True, append_images=[grey(~SHAPE)])
    with pytest.raises(ImageError, match="2 pages or frames"):
        read_inside(tmp_path / "a.webp")


THREE = white(SHAPE)
THREE[26:32, 36:48] = 128
REFUSED: dict[str, tuple[Save, str]] = {
    "background.png": (pillow(lambda m: palette(m, WHITE, RED)), "no pixel of it is black"),
    "colour-map.png": (pillow(lambda m: palette(m, (68, 1, 84), (253, 231, 37))), "no pixel of it is black"),
    "red-first.png": (pillow(lambda m: palette(m, RED, BLACK)), "entries of its palette"),
    "no-palette.png": (pillow(lambda m: palette(m, BLACK, BLACK)), "entries of its palette"),
    "hidden-entry.png": (pillow(lambda m: palette(m, BLACK, RED), transparency=1), "is transparent"),
    "red-on-white.png": (
        pillow(lambda m: Image.fromarray(layers(~m, 255, None, None))),
        "no pixel of it is black",
    ),
    "one-and-two.png": (pillow(lambda m: Image.fromarray(m + np.uint8(1))), "no pixel of it is black"),
    "video.png": (pillow(lambda m: Image.fromarray(np.where(m, 235, 16).astype(np.uint8))), "no pixel"),
    "soft-layer.png": (
        pillow(
            lambda m: Image.fromarray(np.dstack([layers(m, 255, 255, 255), np.where(m, 200, 9).astype("u1")]))
        ),
        "no pixel of it is black",
    ),
    "black-layer.png": (pillow(lambda m: Image.fromarray(layers(m, 0, 0, 0, None))), "transparency alone"),
    "black-grey-layer.png": (
        pillow(lambda m: Image.fromarray(layers(m, 0, None), "LA")),
        "transparency alone",
    ),
    "hole.png": (
        pillow(lambda m: Image.fromarray(np.dstack([layers(m, None, None, None), white(~m)]))),
        "is transp",
    ),
    "invisible.png": (pillow(lambda m: Image.fromarray(layers(m, None, None, None, 0))), "is transparent"),
    "white-is-transparent.png": (pillow(grey, transparency=255), "is transparent"),
    "doubtful.tif": (
        tiff(lambda m: m * np.float32(0.3)),
        r"highest value is 0\.3, and inside begins at 0\.5",
    ),
    "all-likely.tif": (tiff(lambda m: np.where(m, 0.9, 0.6)), "no pixel of it is black"),
    "nan-inside.tif": (tiff(lambda m: np.where(m, np.nan, 0)), "no value but NaN and 0"),
    "nan-only.tif": (tiff(lambda m: m * np.nan), "no value but NaN and 0"),
    "infinite.tif": (tiff(lambda m: np.where(m, np.inf, 0)), "infinite"),
    "logits.tif": (tiff(lambda m: np.where(m, 3.0, -3.0)), "negative"),
    "ignored.tif": (tiff(lambda m: -m.astype(np.int8), photometric="minisblack"), "negative"),
    "index.jpg": (
        pillow(lambda m: Image.fromarray(m.astype(np.uint8)), quality=100),
        "highest value is 1, and inside begins at",
    ),
    "three.jpg": (pillow(lambda _: Image.fromarray(THREE)), "areas of grey"),
    "three.webp": (pillow(lambda _: Image.fromarray(THREE)), "areas of grey"),
    "red-on-white.jpg": (
        pillow(lambda m: Image.fromarray(layers(~m, 255, None, None))),
        "no pixel of it is black",
    ),
    "pages.tif": (pillow(grey, save_all=True, append_images=[grey(~SHAPE)]), "2 pages or frames"),
    "stack.tif": (tiff(lambda m: np.stack([m, ~m]).astype(np.float64)), "2 pages or frames"),
    "frames.gif": (pillow(grey, save_all=True, append_images=[grey(~SHAPE)]), "2 pages or frames"),
    "frames.png": (pillow(grey, save_all=True, append_images=[grey(~SHAPE)]), "2 pages or frames"),
    "planes.tif": (
        tiff(lambda m: layers(m, 0, 0, 0, 0, None), photometric="minisblack", planarconfig="contig"),
        "what 4 of its channels are",
    ),
    "two-planes.tif": (
        tiff(
            lambda m: layers(m, 0, None),
            photometric="minisblack",
            planarconfig="contig",
            extrasamples=["unspecified"],
        ),
        "what 1 of its channels are",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_may_mean_something_else_is_refused_by_name(tmp_path: Path, name: str) -> None:
    save, said = REFUSED[name]
    save(tmp_path / name, SHAPE)
    with pytest.raises(ImageError, match=rf"{name}: the mask is not clear: .*{said}.*\. Save "):
        read_inside(tmp_path / name)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.jp2"])
@pytest.mark.parametrize("value", [0, 255])
def test_a_mask_of_nothing_and_one_of_all_are_clear(tmp_path: Path, name: str, value: int) -> None:
    Image.fromarray(np.full((32, 48), value, np.uint8)).save(tmp_path / name)
    found = read_inside(tmp_path / name)
    assert (found == bool(value)).all()


def test_smaller_copies_of_a_mask_are_no_further_pages(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(white(SHAPE))
        file.write(white(SHAPE[::2, ::2]), subfiletype=1)
    np.testing.assert_array_equal(read_inside(tmp_path / "a.tif"), SHAPE)


CLASSES = SHAPE * np.uint8(1)
CLASSES[26:32, 36:48] = 3


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.pgm"])
@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
def test_exact_formats_tell_the_values_of_classes(tmp_path: Path, name: str, kind: str) -> None:
    values = CLASSES.astype(kind)
    if kind == "u1" or (kind == "u2" and name in ("a.png", "a.pgm")):
        Image.fromarray(values).save(tmp_path / name)
    elif name == "a.tif":
        tifffile.imwrite(tmp_path / name, values)
    else:
        pytest.skip(f"{name} holds no {kind}")
    np.testing.assert_array_equal(read_values(tmp_path / name, {1, 3}), CLASSES)


def test_palettes_tell_classes_by_their_indices(tmp_path: Path) -> None:
    for colours in ([WHITE, RED, RED, (0, 255, 0)], [BLACK] * 4, [BLACK, (60, 60, 60), WHITE, (90, 90, 90)]):
        image = Image.fromarray(CLASSES)
        image.putpalette([value for colour in colours for value in colour])
        image.save(tmp_path / "a.png")
        np.testing.assert_array_equal(read_values(tmp_path / "a.png", {1, 3}), CLASSES)


def test_one_bit_and_the_one_channel_that_has_values_tell_classes(tmp_path: Path) -> None:
    Image.fromarray(SHAPE).save(tmp_path / "bilevel.png")
    np.testing.assert_array_equal(read_values(tmp_path / "bilevel.png", {1}), SHAPE)
    Image.fromarray(np.dstack([CLASSES * 0, CLASSES, CLASSES * 0])).save(tmp_path / "green.png")
    np.testing.assert_array_equal(read_values(tmp_path / "green.png", {1, 3}), CLASSES)


UNCLEAR: dict[str, tuple[Save, str]] = {
    "colours.png": (pillow(lambda m: Image.fromarray(layers(m, 0, None, 255))), "holds colours"),
    "fractions.tif": (tiff(lambda m: m * np.float32(0.9)), "fractions"),
    "negative.tif": (tiff(lambda m: -m.astype(np.int16), photometric="minisblack"), "negative"),
    "nan.tif": (tiff(lambda m: np.where(m, np.nan, 0)), "no value but NaN"),
    "hidden.png": (pillow(lambda m: Image.fromarray(layers(m, 1, 1, 1, None))), "are transparent"),
    "reduced.gif": (
        pillow(lambda m: Image.fromarray(m * np.uint8(2))),
        "both the indices of its palette and the",
    ),
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_values_that_cannot_be_told_are_refused_by_name(tmp_path: Path, name: str) -> None:
    save, said = UNCLEAR[name]
    save(tmp_path / name, SHAPE)
    with pytest.raises(ImageError, match=rf"{name}: the mask is not clear: .*{said}.*\. Save "):
        read_values(tmp_path / name, {1, 2})


@given(
    name=st.sampled_from(sorted(EXACT)),
    places=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=20),
)
def test_any_damage_ends_in_a_mask_or_an_image_error(
    tmp_path_factory: pytest.TempPathFactory, name: str, places: list[tuple[int, int]]
) -> None:
    path = tmp_path_factory.getbasetemp() / f"damaged-{name}"
    EXACT[name](path, SHAPE[::4, ::4])
    content = bytearray(path.read_bytes())
    for place, value in places:
        content[place % len(content)] = value
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about damaged tags
        with suppress(ImageError):
            assert read_inside(path).dtype == bool
        with suppress(ImageError):
            assert read_values(path, {1}).dtype.kind in "biu"


def test_strong_compression_lowers_what_is_inside_but_not_below_a_quarter(tmp_path: Path) -> None:
    inside = np.zeros((128, 128), bool)
    inside[38:58, 38:58] = True
    grey(inside).save(tmp_path / "a.jp2", quality_mode="rates", quality_layers=[150])  # peaks are left of it
    assert read_inside(tmp_path / "a.jp2").sum() == pytest.approx(inside.sum(), rel=0.1)
    Image.fromarray(inside * np.uint8(40)).save(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match=r"inside begins at 63\.75"):
        read_inside(tmp_path / "a.jpg")
