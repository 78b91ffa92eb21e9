import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmask.data.tiles import Blend, Window, across, windows

sides = st.integers(1, 60)


@given(height=sides, width=sides, size=st.integers(1, 40), data=st.data())
def test_windows_cover_every_pixel_and_end_at_the_border(
    height: int, width: int, size: int, data: st.DataObject
) -> None:
    found = windows(height, width, size, stride=data.draw(st.integers(1, size)))
    seen = np.zeros((height, width), int)
    for window in found:
        assert window.top == 0 or window.top + size <= height
        assert window.left == 0 or window.left + size <= width
        seen[window.top : window.top + size, window.left : window.left + size] += 1
    assert seen.min() >= 1
    assert len(set(found)) == len(found)


def test_windows_side_by_side_do_not_overlap_where_they_fit() -> None:
    assert windows(4, 6, size=2, stride=2) == [Window(t, x) for t in (0, 2) for x in (0, 2, 4)]


@pytest.mark.parametrize(("height", "width", "size", "stride"), [(0, 5, 2, 2), (5, 5, 2, 3), (5, 5, 2, 0)])
def test_windows_that_would_leave_gaps_are_refused(height: int, width: int, size: int, stride: int) -> None:
    with pytest.raises(ValueError, match=r"stride|no windows"):
        windows(height, width, size, stride)


def test_across_tells_the_rows_of_windows() -> None:
    assert across(windows(20, 50, size=10, stride=5)) == 9
    assert across(windows(50, 7, size=10, stride=5)) == across([]) == 1


@given(height=sides, width=sides, size=st.integers(1, 40), taper=st.floats(0, 0.5))
def test_cut_and_blended_again_a_map_is_what_it_was(height: int, width: int, size: int, taper: float) -> None:
    whole = np.random.default_rng(0).normal(size=(2, height, width)).astype(np.float32)
    padded = np.pad(whole, ((0, 0), (0, size), (0, size)))
    blend = Blend(whole.shape, taper)
    for window in windows(height, width, size, max(1, size // 2)):
        blend.add(window, padded[:, window.top : window.top + size, window.left : window.left + size])
    np.testing.assert_allclose(blend.result(), whole, atol=1e-5)


def test_overlaps_are_averaged() -> None:
    blend = Blend((2, 4))
    for left, value in ((0, 1.0), (1, 4.0), (1, 7.0)):
        blend.add(Window(0, left), np.full((2, 2), value, np.float32))
    assert blend.result().tolist() == [[1, 4, 5.5, 0], [1, 4, 5.5, 0]]


def test_a_tapered_window_counts_less_at_its_border() -> None:
    blend = Blend((8, 12), taper=0.25)
    blend.add(Window(0, 0), np.zeros((8, 8), np.float32))
    blend.add(Window(0, 4), np.ones((8, 8), np.float32))
    row = blend.result()[4]
    assert (np.diff(row) >= 0).all()
    assert row[4] < 0.25 < 0.75 < row[7]


def test_a_taper_past_the_middle_is_refused() -> None:
    with pytest.raises(ValueError, match="taper"):
        Blend((4, 4), taper=0.6)
