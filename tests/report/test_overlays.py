import base64
import io

import numpy as np
import pytest
from PIL import Image

from relmask.report import class_colours, found_and_missed, outlined, overlay, painted, panel
from relmask.report.overlays import data_uri, fitted

GREY = np.full((20, 30, 3), 0.5)


def test_relevance_is_red_for_blue_against_and_invisible_at_zero() -> None:
    relevance = np.zeros((20, 30))
    relevance[5, 5], relevance[7, 7] = 1.0, -1.0
    picture = overlay(GREY, relevance, limit=1.0).astype(int)
    assert picture[5, 5, 0] > picture[5, 5, 2] + 100
    assert picture[7, 7, 2] > picture[7, 7, 0] + 100
    assert (picture[0, 0] == 128).all()


def test_an_image_with_little_relevance_stays_pale_beside_one_with_much() -> None:
    relevance = np.ones((20, 30))
    weak, strong = overlay(GREY, 0.01 * relevance, limit=1.0), overlay(GREY, relevance, limit=1.0)
    assert np.ptp(weak[0, 0].astype(int)) < 0.2 * np.ptp(strong[0, 0].astype(int))
    with pytest.raises(ValueError, match="limit"):
        overlay(GREY, relevance, limit=0.0)


def test_without_relevance_the_image_is_grey() -> None:
    assert (overlay(np.random.default_rng(0).random((4, 4, 3)), None, 1.0).std(-1) == 0).all()


def test_outlines_surround_the_mask_and_leave_it_open() -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[5:10, 5:10] = 2
    picture = outlined(GREY, mask)
    assert (picture[4, 7] == class_colours(2)[2]).all()
    assert (picture[7, 7] == 128).all()


def test_every_class_has_its_own_colour() -> None:
    assert len({tuple(colour) for colour in class_colours(7).tolist()}) == 8
    mask = np.arange(4, dtype=np.uint8).reshape(2, 2)
    picture = painted(np.full((2, 2, 3), 0.5), mask)
    assert len({tuple(colour) for colour in picture.reshape(-1, 3).tolist()}) == 4


def test_found_missed_and_invented_pixels_differ() -> None:
    mask, truth = np.array([[1, 1, 0, 0]]), np.array([[1, 0, 1, 0]])
    assert len({tuple(colour) for colour in found_and_missed(mask, truth)[0].tolist()}) == 4


def test_pictures_stand_side_by_side_at_one_height() -> None:
    picture = np.zeros((10, 20, 3), np.uint8)
    assert panel([picture, picture], gap=4).shape == (10, 44, 3)
    assert panel([picture, picture], height=30, gap=4).shape == (30, 124, 3)
    assert fitted(picture, 10).shape == (5, 10, 3)
    assert fitted(picture, 100) is picture


@pytest.mark.parametrize(("quality", "kind"), [(85, "JPEG"), (None, "PNG")])
def test_an_embedded_picture_can_be_read_back(quality: int | None, kind: str) -> None:
    content = data_uri(np.full((8, 9, 3), 77, np.uint8), quality).partition("base64,")[2]
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        assert image.format == kind
        assert np.asarray(image) == pytest.approx(77, abs=2)
