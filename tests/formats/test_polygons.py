from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import ArrayLike, NDArray
from pycocotools import mask as coco
from scipy import ndimage
from skimage.draw import polygon2mask

from relmask.formats.polygons import ellipse, fill, rectangle, rotated, trace, without_holes
from tests.formats.masks import RING, binary

Inside = NDArray[np.bool_]


def filled(loops: Sequence[ArrayLike], shape: tuple[int, ...]) -> Inside:
    inside, top, left = fill(loops, (shape[0], shape[1]))
    whole = np.zeros(shape, bool)
    whole[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return whole


@given(binary)
def test_a_traced_mask_comes_back_part_by_part(inside: Inside) -> None:
    polygons = trace(inside)
    labels, count = ndimage.label(inside)
    assert len(polygons) == count
    for part, polygon in enumerate(polygons, start=1):
        np.testing.assert_array_equal(filled([polygon.outer, *polygon.holes], inside.shape), labels == part)


@given(binary)
def test_pieces_have_no_holes_and_make_up_the_mask_without_overlap(inside: Inside) -> None:
    pieces = [filled([loop], inside.shape) for loop in without_holes(inside)]
    np.testing.assert_array_equal(np.sum(pieces, axis=0, dtype=int) if pieces else 0 * inside, inside)
    for piece in pieces:
        (polygon,) = trace(piece)
        assert not polygon.holes


@given(binary)
def test_the_coco_api_fills_the_pieces_alike(inside: Inside) -> None:
    height, width = inside.shape
    for loop in without_holes(inside):
        code = coco.merge(coco.frPyObjects([loop.ravel().tolist()], height, width))
        ours = filled([loop], inside.shape).astype(np.uint8)
        assert coco.encode(np.asfortranarray(ours))["counts"] == code["counts"]


def test_corners_are_those_of_the_pixels() -> None:
    inside = np.zeros((4, 5), bool)
    inside[1:3, 2:5] = True
    (polygon,) = trace(inside)
    assert polygon.outer.tolist() == [[2, 1], [5, 1], [5, 3], [2, 3]]


def test_a_ring_has_its_holes() -> None:
    (polygon,) = trace(RING == 1)
    corners = [{tuple(corner) for corner in hole.tolist()} for hole in polygon.holes]
    assert {(2, 2), (2, 3), (3, 3), (3, 2)} in corners
    assert len(corners) == 3


def test_pixels_that_touch_at_a_corner_are_two_polygons() -> None:
    for inside in (np.eye(2, dtype=bool), np.eye(2, dtype=bool)[::-1]):
        assert [len(polygon.outer) for polygon in trace(inside)] == [4, 4]


def test_what_a_person_draws_is_filled_at_pixel_centres() -> None:
    corners = np.array([[2.3, 1.2], [17.9, 4.4], [11.1, 18.7], [4.5, 12.2]])
    expected = polygon2mask((20, 22), corners[:, ::-1] - 0.5)
    np.testing.assert_array_equal(filled([corners], (20, 22)), expected)


def test_what_reaches_outside_is_cut_off() -> None:
    assert filled([rectangle(-100, -100, 100, 100)], (3, 4)).all()
    assert not filled([rectangle(10, 10, 100, 100)], (3, 4)).any()


@pytest.mark.parametrize("corners", [[[0, 0], [1, 1]], [[0, 0], [1, np.nan], [2, 2]], []])
def test_what_is_no_polygon_is_a_value_error(corners: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="three corners"):
        fill([corners], (3, 3))


def test_ellipses_and_turned_rectangles_have_their_area() -> None:
    round_ = filled([rotated(ellipse(50, 40, 30, 20), 30, 50, 40)], (80, 100))
    assert round_.sum() == pytest.approx(np.pi * 30 * 20, rel=0.01)
    np.testing.assert_array_equal(round_, round_[::-1, ::-1])
    turned = filled([rotated(rectangle(20, 20, 60, 30), 90, 20, 20)], (80, 100))
    np.testing.assert_array_equal(turned, filled([rectangle(10, 20, 20, 60)], (80, 100)))
