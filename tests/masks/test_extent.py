import numpy as np
import pytest
from numpy.typing import NDArray

from relmask.masks.extent import FALLBACK, absolute_extent, choose_extent


def spot(height: float, width: int) -> NDArray[np.float32]:
    """A square of relevance over a low background with noise, (32, 32)."""
    rng = np.random.default_rng(width)
    values = 0.05 * height * rng.random((32, 32))
    values[8 : 8 + width, 8 : 8 + width] = height * (0.8 + 0.2 * rng.random((width, width)))
    return values.astype(np.float32)


def test_the_extent_parts_background_from_defect() -> None:
    maps = [spot(1, 6), spot(1, 9)]
    extent = choose_extent(maps)
    for values, width in zip(maps, (6, 9), strict=True):
        inside = values > extent * values.max()
        assert inside[8 : 8 + width, 8 : 8 + width].all()
        assert np.count_nonzero(inside) == width * width


def test_the_height_of_the_peaks_does_not_matter() -> None:
    one = choose_extent([spot(1, 6), spot(1, 9)])
    assert choose_extent([spot(0.001, 6), spot(500, 9)]) == pytest.approx(one, rel=1e-3)


@pytest.mark.parametrize(
    "maps",
    [[], [np.zeros((4, 4), np.float32)], [np.full((4, 4), -1, np.float32)]],
    ids=["none", "zero", "less"],
)
def test_without_relevance_a_usual_share_is_taken(maps: list[NDArray[np.float32]]) -> None:
    assert choose_extent(maps) == FALLBACK


@pytest.mark.parametrize("values", [[1.0], [1, 1, 1], [1, 0, 0, 0], [1, 1e-30], [1, -5, 0.5]])
def test_it_is_a_share_of_the_peak_whatever_the_map(values: list[float]) -> None:
    assert 0.0049 < choose_extent([np.array([values], np.float32)]) < 0.9001


def test_an_absolute_extent_parts_defect_from_background_and_follows_the_scale() -> None:
    maps = [spot(1, 6), spot(2, 9), spot(1.5, 7)]
    assert 0.05 < absolute_extent(maps) < 0.8
    assert absolute_extent([7 * values for values in maps]) == pytest.approx(
        7 * absolute_extent(maps), rel=1e-3
    )


def test_an_absolute_extent_leaves_maps_without_relevance_out() -> None:
    empty = np.zeros((4, 4), np.float32)
    assert absolute_extent([empty, spot(1, 6)]) == absolute_extent([spot(1, 6)])
    assert absolute_extent([empty]) == FALLBACK
