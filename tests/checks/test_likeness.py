import numpy as np
import pytest

from relmask.checks.likeness import highest, overlap, rank_correlation


def test_the_highest_values_are_masked_as_far_as_they_are_positive() -> None:
    values = np.arange(-8.0, 8.0).reshape(4, 4)
    assert highest(values, 3).ravel().nonzero()[0].tolist() == [13, 14, 15]
    assert highest(values, 12).sum() == 7


def test_overlap_is_intersection_over_union_and_0_without_pixels() -> None:
    one, other = np.zeros((2, 3), bool), np.zeros((2, 3), bool)
    assert overlap(one, other) == 0
    one[0, :2] = other[0, 1:] = True
    assert overlap(one, other) == pytest.approx(1 / 3)


def test_maps_are_correlated_by_rank_and_one_of_a_single_value_with_none() -> None:
    one = np.arange(16.0).reshape(4, 4)
    assert rank_correlation(one, np.exp(one)) == pytest.approx(1)
    assert rank_correlation(one, -one) == pytest.approx(-1)
    assert rank_correlation(one, np.ones((4, 4))) == 0
