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


def test_the_extent_lies_between_background_and_defect() -> None:
    assert 0.05 < choose_extent([spot(1, 6), spot(1, 9)]) < 0.8


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


def test_an_absolute_extent_is_the_share_of_a_usual_peak() -> None:
    maps = [spot(height, 6) for height in (1, 2, 3, 400, 5)]
    peaks = sorted(float(values.max()) for values in maps)
    assert absolute_extent(maps) == pytest.approx(choose_extent(maps) * peaks[2])
