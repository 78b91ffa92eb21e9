from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from relmask.data.reading import MOST_PIXELS, Intensity, batched, measure_intensity, read_image
from relmask.errors import ImageError
from tests.data.pictures import picture, write_png16


def deep(path: Path, values: object) -> Path:
    tifffile.imwrite(path, np.asarray(values), photometric="minisblack")
    return path


def test_a_picture_has_three_channels_in_0_to_1(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 51], [102, 255]], np.uint8)).save(tmp_path / "a.png")
    found = read_image(tmp_path / "a.png")
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found[..., 1], [[0, 0.2], [0.4, 1]], rtol=1e-6)
    np.testing.assert_array_equal(found[..., 0], found[..., 2])


def test_8_bit_pictures_ignore_the_intensity(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", 51)
    np.testing.assert_array_equal(read_image(path, Intensity(low=40, high=60)), read_image(path))


def test_high_bit_depths_are_mapped_from_the_intensity_and_clipped(tmp_path: Path) -> None:
    path = deep(tmp_path / "a.tif", np.array([[0, 1000, 1500, 3000, 65535]], np.uint16))
    found = read_image(path, Intensity(low=1000, high=3000))
    np.testing.assert_allclose(found[0, :, 0], [0, 0, 0.25, 1, 1])
    np.testing.assert_allclose(
        read_image(path)[0, :, 0], np.array([0, 1000, 1500, 3000, 65535]) / 65535, rtol=1e-5
    )


def test_16_bit_grey_is_the_same_in_colour(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (4, 6), dtype=np.uint16)
    write_png16(tmp_path / "grey.png", values[..., None])
    write_png16(tmp_path / "colour.png", np.repeat(values[..., None], 3, axis=2))
    intensity = Intensity(low=300, high=40_000)
    np.testing.assert_array_equal(
        read_image(tmp_path / "grey.png", intensity), read_image(tmp_path / "colour.png", intensity)
    )


def test_values_that_are_not_finite_stay_in_range(tmp_path: Path) -> None:
    path = deep(tmp_path / "a.tif", np.array([[np.nan, np.inf, -np.inf, 0.5]], np.float32))
    np.testing.assert_allclose(read_image(path, Intensity(low=0, high=1))[0, :, 0], [0, 1, 0, 0.5])


def test_what_cannot_be_read_is_an_image_error(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"a\.png: is no picture"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize(("low", "high"), [(1, 1), (2, 1), (0, float("inf")), (float("nan"), 1)])
def test_an_intensity_is_a_finite_range(low: float, high: float) -> None:
    with pytest.raises(ValidationError):
        Intensity(low=low, high=high)


def test_without_high_bit_depths_the_whole_range_counts(tmp_path: Path) -> None:
    (tmp_path / "broken.tif").write_text("no")
    paths = [picture(tmp_path / "a.png"), tmp_path / "broken.tif", tmp_path / "absent.tif"]
    assert measure_intensity(paths) == measure_intensity([]) == Intensity(low=0, high=65535)


def test_the_measured_range_covers_all_pictures_and_is_round(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = [
        deep(tmp_path / f"{n}.tif", rng.integers(low, low + 1000, (50, 50)).astype(np.uint16))
        for n, low in enumerate((812, 1512, 2112))
    ]
    paths.append(picture(tmp_path / "8-bit.png", 255))
    assert measure_intensity(paths) == measure_intensity(paths[::-1]) == Intensity(low=800, high=3200)


def test_a_few_dead_pixels_do_not_decide_the_range(tmp_path: Path) -> None:
    values = np.random.default_rng(0).uniform(100, 200, (300, 300)).astype(np.uint16)
    values[0, :10] = 65535
    found = measure_intensity([deep(tmp_path / "a.tif", values)])
    assert 90 <= found.low <= 100
    assert 199 <= found.high <= 215


def test_a_batch_ends_at_a_count_or_where_its_pictures_fill_the_memory() -> None:
    large = MOST_PIXELS // 2
    pixels = [1, 1, 1, large, large, 1, large, 2 * large, 1]
    assert list(batched(pixels, 3, int)) == [[1, 1, 1], [large, large], [1, large, 2 * large], [1]]
    assert list(batched([], 3, int)) == []


@pytest.mark.parametrize("value", [0.0, 0.25, -3.0, 65535.0])
def test_one_value_everywhere_still_gives_a_range(tmp_path: Path, value: float) -> None:
    found = measure_intensity([deep(tmp_path / "a.tif", np.full((4, 4), value, np.float32))])
    assert found.low <= value < found.high


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=30))
def test_any_values_give_a_range_that_holds_most(
    tmp_path_factory: pytest.TempPathFactory, values: list[float]
) -> None:
    found = measure_intensity(
        [deep(tmp_path_factory.getbasetemp() / "any.tif", np.array([values], np.float32))]
    )
    assert found.low <= np.median(values) <= found.high
