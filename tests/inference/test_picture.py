from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays, scalar_dtypes
from numpy.typing import NDArray
from PIL import Image

from relmask.data.reading import Intensity, read_image
from relmask.errors import UsageError
from relmask.inference.picture import as_image

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
DEEP = Intensity(low=1000, high=3000)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def of(picture: Any, intensity: Intensity = Intensity()) -> NDArray[np.float32]:  # noqa: ANN401, B008
    found = as_image(picture, intensity)
    assert found.dtype == np.float32
    assert found.ndim == 3
    assert found.shape[2] == 3
    return found


@pytest.mark.parametrize(
    "picture",
    [
        PIXELS,
        PIXELS / 255,
        (PIXELS / 255).astype(np.float32),
        Image.fromarray(PIXELS),
        torch.from_numpy(PIXELS),
        torch.from_numpy(PIXELS).permute(2, 0, 1),
        torch.from_numpy(PIXELS / 255).permute(2, 0, 1),
        torch.from_numpy(PIXELS / 255).float().requires_grad_(),
        PIXELS[::1, ::1].copy(order="F"),
    ],
)
def test_a_picture_is_the_same_in_whatever_form_it_comes(picture: object, file: Path) -> None:
    np.testing.assert_allclose(of(picture), read_image(file), atol=1e-6)
    assert np.array_equal(of(file), read_image(file))
    assert np.array_equal(of(str(file)), read_image(file))


def test_grey_pictures_get_three_channels() -> None:
    grey = PIXELS[..., 0]
    for picture in (grey, grey[..., None], Image.fromarray(grey), torch.from_numpy(grey)[None]):
        np.testing.assert_allclose(of(picture), np.repeat(grey[..., None] / 255, 3, 2), atol=1e-6)


def test_deep_pictures_are_mapped_as_their_files_are(tmp_path: Path) -> None:
    deep = np.linspace(500, 3500, 20).astype(np.uint16).reshape(4, 5)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    for picture in (deep, tmp_path / "deep.png", Image.open(tmp_path / "deep.png")):
        assert np.array_equal(of(picture, DEEP), read_image(tmp_path / "deep.png", DEEP))


def test_a_pil_image_is_turned_as_its_exif_orientation_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PIXELS).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(of(Image.open(tmp_path / "turned.png")), read_image(tmp_path / "turned.png"))


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (PIXELS.astype(np.float32), r"not in \[0, 1\]. Divide it by 255"),
        (PIXELS / 255 - 0.5, r"not in \[0, 1\]"),
        (np.full((4, 4, 3), np.nan), r"not in \[0, 1\]"),
        (np.full((4, 4), np.inf), r"not in \[0, 1\]"),
        (PIXELS.astype(np.int64), "int64"),
        (PIXELS > 9, "bool"),
        (np.zeros((4, 4, 4)), "4x4x4"),
        (np.zeros((2, 4, 4, 3)), "2x4x4x3"),
        (torch.zeros(2, 3, 4, 4), "2x3x4x4"),
        (np.zeros(7), "7 values"),
        (np.zeros((0, 4, 3)), "empty"),
        (b"bytes", "bytes"),
        (None, "NoneType"),
        ([[0.5]], "list"),
    ],
)
def test_what_is_no_picture_is_refused_with_what_it_should_be(picture: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        of(picture)


@given(st.data())
def test_any_array_gives_a_picture_or_a_usage_error(data: st.DataObject) -> None:
    shape = data.draw(array_shapes(min_dims=0, max_dims=4, max_side=4))
    array = data.draw(arrays(data.draw(scalar_dtypes()), shape))
    try:
        found = of(array)
    except UsageError:
        return
    assert 0 <= found.min() <= found.max() <= 1
