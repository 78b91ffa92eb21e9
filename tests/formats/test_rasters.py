from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from relmask.errors import OutError
from relmask.formats import write_mask, write_relevance

COLOURS = np.array([[0, 0, 0], [230, 159, 0], [86, 180, 233]], np.uint8)


@pytest.mark.parametrize("values", [[0], [0, 1, 2], [2]])
def test_a_mask_keeps_its_values_and_has_the_colours_of_its_classes(
    tmp_path: Path, values: list[int]
) -> None:
    mask = np.resize(np.array(values, np.uint8), (5, 7))
    write_mask(tmp_path / "mask.png", mask, COLOURS)
    picture = Image.open(tmp_path / "mask.png")
    assert (picture.mode, picture.format) == ("P", "PNG")
    np.testing.assert_array_equal(np.asarray(picture), mask)
    np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), COLOURS[mask])


def test_relevance_comes_back_exactly(tmp_path: Path) -> None:
    relevance = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    write_relevance(tmp_path / "deep" / "map.tiff", relevance)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "deep" / "map.tiff"), relevance)


def test_a_place_that_cannot_be_written_is_an_error_of_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutError, match="Cannot write"):
        write_mask(tmp_path / "file" / "mask.png", np.zeros((2, 2), np.uint8), COLOURS)
