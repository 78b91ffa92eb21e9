import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from relmask.masks.binarise import binarise, combine
from relmask.masks.thresholds import ClassThresholds

Map = NDArray[np.float32]
MAPS = arrays(
    np.float32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.floats(-1, 1, width=32)
)
LEVELS = st.floats(0.0625, 1.5, width=32)


def thresholds(level: float = 0.2) -> ClassThresholds:
    return ClassThresholds(clean_median=0, clean_spread=1, gate=0, level=level, slope=1, offset=0)


@given(MAPS, LEVELS)
def test_a_level_masks_all_of_a_map_above_it_and_nothing_else(values: Map, level: float) -> None:
    mask = binarise(values, thresholds(level))
    assert mask.tolist() == [[value > level for value in row] for row in values.tolist()]


def test_a_level_between_two_values_of_a_map_parts_them() -> None:
    value = np.float32(0.3)
    just_below = np.nextafter(np.float64(value), 0)  # rounded to 32 bits it would be the value
    assert binarise(np.array([[value]]), thresholds(just_below)).all()
    assert not binarise(np.array([[value]]), thresholds(float(value))).any()


def test_parts_under_the_least_area_are_left_out() -> None:
    relevance = np.array([[0.9, 0.0, 0.0, 0.9], [0.0, 0.9, 0.0, 0.9], [0.0, 0.0, 0.0, 0.9]], np.float32)
    parts = thresholds().model_copy(update={"min_area": 3})
    # The diagonal counts as one part of two pixels.
    assert binarise(relevance, parts).sum() == 3
    assert binarise(relevance, parts.model_copy(update={"min_area": 2})).sum() == 5
    assert not binarise(relevance, parts.model_copy(update={"min_area": 4})).any()


@given(MAPS)
def test_relevance_below_the_level_gives_an_empty_mask(relevance: Map) -> None:
    assert not binarise(relevance, thresholds(level=1)).any()
    assert not combine({0: relevance}, {0: thresholds(level=1)}, relevance.shape).any()


def test_overlaps_go_to_the_higher_relevance_over_its_threshold() -> None:
    crack = np.array([[0.9, 0.9, 0.9, 0.0]], np.float32)
    pit = np.array([[0.0, 0.8, 2.0, 0.8]], np.float32)
    limits = {0: thresholds(level=0.3), 1: thresholds(level=0.4)}
    # Over their thresholds: 3 3 3 0 and 0 2 5 2.
    assert combine({0: crack, 1: pit}, limits, (1, 4)).tolist() == [[1, 1, 2, 2]]


def test_the_order_of_classes_does_not_decide_overlaps() -> None:
    rng = np.random.default_rng(0)
    maps: dict[int, Map] = {k: rng.random((9, 9), dtype=np.float32) for k in range(3)}
    limits = {k: thresholds(level=0.1 * (k + 1)) for k in maps}
    backwards = dict(reversed(maps.items()))
    assert np.array_equal(combine(maps, limits, (9, 9)), combine(backwards, limits, (9, 9)))


def test_the_value_of_a_class_is_its_place_in_the_order_plus_one() -> None:
    relevance = np.full((2, 2), 0.9, np.float32)
    assert combine({4: relevance}, {4: thresholds()}, (2, 2)).tolist() == [[5, 5], [5, 5]]


def test_without_a_class_the_mask_is_empty() -> None:
    mask = combine({}, {}, (3, 5))
    assert mask.dtype == np.uint8
    assert mask.shape == (3, 5)
    assert not mask.any()
