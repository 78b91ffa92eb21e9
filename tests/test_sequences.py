import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmask.sequences import batches, evenly


@given(st.lists(st.integers()), st.integers(1, 9))
def test_batches_hold_every_item_once_and_in_order(items: list[int], size: int) -> None:
    found = [*batches(items, size)]
    assert [item for batch in found for item in batch] == items
    assert all(len(batch) == size for batch in found[:-1])
    assert all(0 < len(batch) <= size for batch in found)


@given(st.integers(0, 99), st.integers(0, 99))
def test_an_even_sample_has_both_ends_and_gaps_of_one_size(count: int, most: int) -> None:
    found = evenly(count, most)
    assert len(found) == len(set(found.tolist())) == min(count, most)
    if len(found) > 1:
        assert (found[0], found[-1]) == (0, count - 1)
        assert np.ptp(np.diff(found)) <= 1


@pytest.mark.parametrize("most", [0, 1])
def test_an_even_sample_of_next_to_nothing(most: int) -> None:
    assert evenly(5, most).tolist() == [0][:most]
