import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.special import expit

from relmask.calibration.from_labels import choose_thresholds, even_odds
from relmask.masks.gates import (
    Scores,
    choose_gates,
    gated_anew,
    logistic_fit,
    probabilities,
    threshold_for_false_alarms,
)
from relmask.masks.thresholds import sigmoid

Array = NDArray[np.float64]
PEAKS = arrays(np.float64, st.integers(1, 99), elements=st.floats(-9, 9))
RATES = st.floats(0, 0.99)


@given(PEAKS, RATES)
def test_no_more_clean_images_alarm_than_allowed(peaks: Array, rate: float) -> None:
    alarms = np.count_nonzero(peaks > threshold_for_false_alarms(peaks, rate))
    assert alarms <= rate * len(peaks) + 1e-6


@given(PEAKS, RATES)
def test_a_lower_peak_would_alarm_too_often(peaks: Array, rate: float) -> None:
    threshold = threshold_for_false_alarms(peaks, rate)
    lower = peaks[peaks < threshold]
    if len(lower):
        assert np.count_nonzero(peaks > lower.max()) > rate * len(peaks) - 1e-6


@given(PEAKS, RATES, st.data())
def test_groups_alarm_no_more_than_allowed_each_counting_once(
    peaks: Array, rate: float, data: st.DataObject
) -> None:
    groups = data.draw(st.lists(st.integers(0, 5), min_size=len(peaks), max_size=len(peaks)))
    threshold = threshold_for_false_alarms(peaks, rate, groups)
    members = {
        group: [peak for peak, of in zip(peaks, groups, strict=True) if of == group] for group in groups
    }
    alarms = sum(np.mean(np.array(own) > threshold) for own in members.values())
    assert alarms <= rate * len(members) + 1e-6
    assert threshold in peaks


def test_many_exposures_of_one_object_are_one_piece_of_evidence() -> None:
    peaks = np.array([5.0] * 90 + [1.0] * 10)
    one_bad_object = ["bad"] * 90 + [f"good-{number}" for number in range(10)]
    assert threshold_for_false_alarms(peaks, 0.1, one_bad_object) == 1
    assert threshold_for_false_alarms(peaks, 0.1) == 5


def test_few_clean_images_allow_no_alarm() -> None:
    assert threshold_for_false_alarms(np.array([0.3, 0.1]), 0.01) == 0.3


@pytest.mark.parametrize(
    ("peaks", "rate", "groups", "message"),
    [
        ([], 0.1, None, "at least one"),
        ([1, math.nan], 0.1, None, "finite"),
        ([1, math.inf], 0.1, None, "finite"),
        ([1, 2], 1.0, None, "below 1"),
        ([1, 2], -0.1, None, "at least 0"),
        ([1, 2], 0.1, ["a"], "2 peaks but 1 groups"),
    ],
)
def test_what_is_no_evidence_is_refused(
    peaks: list[float], rate: float, groups: list[str] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        threshold_for_false_alarms(np.array(peaks), rate, groups)


@given(
    arrays(np.float64, st.integers(2, 60), elements=st.floats(-50, 50)),
    st.data(),
)
def test_a_probability_is_finite_and_never_falls_with_the_score(scores: Array, data: st.DataObject) -> None:
    positive = np.array(data.draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores))))
    slope, offset = logistic_fit(scores, positive)
    assert math.isfinite(slope)
    assert math.isfinite(offset)
    assert slope >= 0


def test_half_is_where_both_kinds_are_as_likely_however_many_there_are() -> None:
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(2, 1, 4000), rng.normal(6, 1, 200)])
    slope, offset = logistic_fit(scores, np.arange(4200) >= 4000)
    assert -offset / slope == pytest.approx(4, abs=0.2)
    # Two Gaussians of distance 4 and spread 1 have the log odds 4 * (x - 4).
    assert slope == pytest.approx(4, rel=0.5)


def test_scores_that_part_the_kinds_give_a_steep_but_finite_probability() -> None:
    slope, offset = logistic_fit(np.array([0.0, 1, 10, 11]), np.array([False, False, True, True]))
    assert expit(slope * np.array([1, 10]) + offset) == pytest.approx([0, 1], abs=0.1)
    assert math.isfinite(slope)


@pytest.mark.parametrize("positive", [True, False])
def test_one_kind_alone_leaves_the_logit_as_it_is(positive: bool) -> None:
    assert logistic_fit(np.array([1.0, 2]), np.array([positive, positive])) == (1, 0)


@given(st.floats(-1e6, 1e6))
def test_the_sigmoid_is_that_of_scipy(value: float) -> None:
    assert sigmoid(value) == pytest.approx(float(expit(value)), abs=1e-12)


@given(arrays(np.float64, 8, elements=st.floats(-9, 9)))
def test_scores_that_speak_against_the_class_say_nothing_of_it(scores: Array) -> None:
    ordered = np.sort(scores)
    positive = np.arange(8) < 4  # the lower half has the class
    assert logistic_fit(ordered, positive) == pytest.approx((0, 0), abs=1e-9)


@st.composite
def judged(draw: st.DrawFn) -> Scores:
    count, classes = draw(st.integers(2, 40)), draw(st.integers(1, 4))
    logits = draw(arrays(np.float64, (count, classes), elements=st.floats(-9, 9)))
    targets = draw(arrays(np.bool_, (count, classes)))
    groups = draw(st.lists(st.integers(0, 20), min_size=count, max_size=count))
    return Scores(logits, targets, groups)


def alarms(scores: Scores, passes: NDArray[np.bool_], chosen: NDArray[np.bool_]) -> float:
    """Share of the groups of the chosen images that pass, an image counting by its share of the group."""
    members: dict[object, list[bool]] = {}
    for group, is_in, alarm in zip(scores.groups, chosen, passes, strict=True):
        if is_in:
            members.setdefault(group, []).append(bool(alarm))
    return float(np.mean([np.mean(found) for found in members.values()])) if members else 0.0


@given(judged(), st.floats(0, 0.9))
def test_no_more_clean_images_pass_a_gate_than_allowed(scores: Scores, rate: float) -> None:
    gates = choose_gates(scores, rate)
    assert np.isfinite(gates.logits).all()
    above = scores.logits > gates.logits + 1e-9
    clean: NDArray[np.bool_] = ~np.any(scores.targets, axis=1)
    if clean.any():
        assert alarms(scores, np.any(above, axis=1), clean) <= rate + 1e-6
        return
    for k in range(scores.logits.shape[1]):
        assert alarms(scores, above[:, k], ~scores.targets[:, k]) <= rate + 1e-6


def test_classes_whose_logits_have_other_scales_share_the_alarms_alike() -> None:
    rng = np.random.default_rng(0)
    small, large = rng.normal(-1, 0.1, 2000), rng.normal(-9, 5.0, 2000)
    scores = Scores(np.stack([small, large], 1), np.zeros((2000, 2), bool), list(range(2000)))
    passes = (scores.logits > choose_gates(scores, 0.1).logits).sum(axis=0)
    assert 0.6 < passes[0] / passes[1] < 1.6


def test_without_clean_images_a_class_is_judged_by_the_images_that_lack_it() -> None:
    logits = np.array([[5.0, 0.0], [6, 1], [1, 8], [2, 9]])
    targets = np.array([[True, False], [True, False], [False, True], [False, True]])
    gates = choose_gates(Scores(logits, targets, [0, 1, 2, 3]), 0.0)
    assert gates.logits == pytest.approx([2, 1])


def test_scores_that_part_the_classes_become_probabilities_that_do() -> None:
    logits = np.array([[0.0, 7], [1, 8], [9, 0], [10, 1], [0, 0], [1, 1]])
    targets = np.array([[0, 1], [0, 1], [1, 0], [1, 0], [0, 0], [0, 0]], bool)
    scores = Scores(logits, targets, list(range(6)))
    gates = choose_gates(scores, 0.0)
    per_class, (slope, offset) = probabilities(scores, gates)
    for k, (own_slope, own_offset) in enumerate(per_class):
        assert ((own_slope * logits[:, k] + own_offset > 0) == targets[:, k]).all()
    highest = ((logits - gates.clean_median) / gates.clean_spread).max(axis=1)
    assert ((slope * highest + offset > 0) == targets.any(axis=1)).all()


@pytest.mark.parametrize("clean_class", [True, False])
def test_gates_chosen_anew_at_another_rate_are_those_of_that_rate(clean_class: bool) -> None:
    scores = noisy(clean_class)
    found = choose_thresholds(scores, even_odds, CLASSES, 0.02)
    other = choose_thresholds(scores, even_odds, CLASSES, 0.2)
    assert gated_anew(found, scores, 0.02) == found
    assert gated_anew(found, scores, 0.2) == other
    assert other.classes["a"].gate < found.classes["a"].gate
    assert gated_anew(other, scores, 0.02) == found


@pytest.mark.parametrize("clean_class", [True, False])
@pytest.mark.parametrize("clean_known", [True, False])
def test_gates_chosen_anew_know_whether_data_have_clean_pictures(
    clean_class: bool, clean_known: bool
) -> None:
    scores = noisy(clean_class)
    found = choose_thresholds(scores, even_odds, CLASSES, 0.02, clean_known=clean_known)
    assert found.never_clean == (not clean_class and not clean_known)
    assert gated_anew(found, scores, 0.2).never_clean == found.never_clean


def test_gates_chosen_anew_leave_where_masks_end() -> None:
    scores = noisy(True)
    found = choose_thresholds(scores, even_odds, CLASSES, 0.02)
    moved = {name: of.model_copy(update={"level": 0.7, "min_area": 9}) for name, of in found.classes.items()}
    anew = gated_anew(found.model_copy(update={"classes": moved, "by_hand": True}), scores, 0.2)
    assert anew.by_hand
    assert {(of.level, of.min_area) for of in anew.classes.values()} == {(0.7, 9)}


CLASSES = ("a", "b")


def noisy(clean_class: bool) -> Scores:
    """300 pictures, two of a group; a third of them clean, or none."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(0 if clean_class else 1, 3, 300)
    targets = np.stack([kinds == 1, kinds == 2], 1)
    return Scores(rng.normal(size=(300, 2)) + targets, targets, [row // 2 for row in range(300)])
