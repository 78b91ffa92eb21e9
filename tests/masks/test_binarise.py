from typing import Literal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import apply_hysteresis_threshold

from relmask.masks.binarise import binarise, combine
from relmask.masks.thresholds import ClassThresholds

Map = NDArray[np.float32]
MAPS = arrays(
    np.float32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.floats(-1, 1, width=32)
)
POSITIVE = st.floats(0.0625, 1.5, width=32)


def thresholds(
    seed: float = 0.5, level: float = 0.2, level_of: Literal["peak", "absolute"] = "absolute"
) -> ClassThresholds:
    return ClassThresholds(
        clean_median=0, clean_spread=1, gate=0, seed=seed, level=level, level_of=level_of, slope=1, offset=0
    )


@given(MAPS, POSITIVE, POSITIVE, st.sampled_from(["peak", "absolute"]))
def test_every_part_of_a_mask_holds_a_seed_and_lies_above_the_extent(
    relevance: Map, seed: float, level: float, level_of: Literal["peak", "absolute"]
) -> None:
    chosen = thresholds(seed, level, level_of)
    mask = binarise(relevance, chosen)
    peak = float(relevance.max())
    assert mask.shape == relevance.shape
    assert mask.any() == (peak > seed)
    if mask.any():
        reach = min(chosen.threshold_at(peak), float(np.nextafter(np.float32(peak), np.float32(0))))
        assert (relevance[mask] > reach).all()
        parts, count = ndimage.label(mask)
        for number in range(1, count + 1):
            assert relevance[parts == number].max() > min(seed, peak)


@given(MAPS, POSITIVE, POSITIVE)
def test_the_outline_is_a_hysteresis_threshold(relevance: Map, seed: float, level: float) -> None:
    mask = binarise(relevance, thresholds(seed, level))
    peak = float(relevance.max())
    low, high = np.float64(min(level, peak)), np.float64(np.nextafter(peak, 0))
    expected = apply_hysteresis_threshold(relevance, low, min(np.float64(max(seed, low)), high))
    assert np.array_equal(mask, expected & (peak > seed))


def test_what_is_not_connected_to_a_seed_is_left_out() -> None:
    relevance = np.array([[0.9, 0.4, 0.1, 0.4, 0.4]], np.float32)
    assert binarise(relevance, thresholds()).tolist() == [[True, True, False, False, False]]


def test_parts_under_the_least_area_are_left_out() -> None:
    relevance = np.array([[0.9, 0.0, 0.0, 0.9], [0.0, 0.9, 0.0, 0.9], [0.0, 0.0, 0.0, 0.9]], np.float32)
    parts = thresholds().model_copy(update={"min_area": 3})
    # The diagonal counts as one part of two pixels.
    assert binarise(relevance, parts).sum() == 3
    assert binarise(relevance, parts.model_copy(update={"min_area": 2})).sum() == 5
    assert not binarise(relevance, parts.model_copy(update={"min_area": 4})).any()


def test_a_share_of_the_peak_follows_the_picture_and_an_otsu_extent_does_not() -> None:
    relevance = np.array([[1, 0.6, 0.3]], np.float32)
    for scale, of_peak, absolute in ((1, 2, 2), (2, 2, 3)):
        assert outline(scale * relevance, thresholds(0.1, 0.5, "peak")).sum() == of_peak
        assert outline(scale * relevance, thresholds(0.1, 0.5, "absolute")).sum() == absolute


@given(MAPS)
def test_relevance_below_the_seed_gives_an_empty_mask(relevance: Map) -> None:
    assert not binarise(relevance, thresholds(seed=1)).any()
    assert not combine({0: relevance}, {0: thresholds(seed=1)}, relevance.shape).any()


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
