import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pydantic import ValidationError

from relmask.masks.thresholds import (
    Calibration,
    ClassThresholds,
    Scores,
    choose_gates,
    probabilities,
)

Array = NDArray[np.float64]


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


def thresholds(gate: float = 1.0, usual: float = 0.0, spread: float = 1.0) -> ClassThresholds:
    return ClassThresholds(
        clean_median=usual, clean_spread=spread, gate=gate, level=0.3, level_of="peak", slope=2, offset=-1
    )


def calibration(**classes: ClassThresholds) -> Calibration:
    return Calibration(
        classes=classes,
        false_alarms=0.01,
        slope=1,
        offset=-2,
        saw_masks=False,
        negatives=9,
        groups=9,
        cross_fitted=False,
    )


def test_any_defect_is_as_likely_as_the_class_that_stands_out_most() -> None:
    chosen = calibration(crack=thresholds(usual=-10, spread=0.5), pit=thresholds(usual=0, spread=4))
    logits = np.array([[-10.0, 0], [-9, 0], [-10, 8]])
    assert chosen.standardised(logits).tolist() == [[0, 0], [2, 0], [0, 2]]
    usual, crack, pit = chosen.defect_probability(logits)
    assert usual < crack == pit == pytest.approx(0.5)


def test_candidates_are_classes_above_their_gates() -> None:
    chosen = calibration(crack=thresholds(gate=1), pit=thresholds(gate=-3))
    assert chosen.candidates(np.array([[1.0, -3], [1.1, -3], [0, 0]])).tolist() == [
        [False, False],
        [True, False],
        [False, True],
    ]
    assert thresholds().probability(0.5) == pytest.approx(0.5)


def test_beside_a_window_above_the_gate_a_window_needs_less() -> None:
    chosen = calibration(crack=thresholds(gate=4), pit=thresholds(gate=9))
    assert chosen.classes["crack"].beside == 0.5
    row = np.array([[2, 2, 0, 2, 5, 1, 0.4, 2], [2, 0, 0, 0, 0, 3, 0, 0]])
    logits = np.stack([row.ravel(), np.full(16, 5.0)], axis=1)
    passing = chosen.passing(logits, across=8)
    assert passing[:, 0].reshape(2, 8).tolist() == [
        [False, False, False, True, True, True, False, False],
        [False, False, False, False, False, True, False, False],
    ]
    assert not passing[:, 1].any()
    assert chosen.passing(logits[:1], across=1).tolist() == [[False, False]]


def test_the_gate_is_enough_beside_windows_and_all_there_is_where_logits_tell_nothing() -> None:
    assert thresholds(gate=-2).beside == -2
    assert thresholds(gate=3).model_copy(update={"slope": 0.0}).beside == 3


@given(arrays(np.float64, (12, 2), elements=st.floats(-9, 9)), st.sampled_from((1, 3, 12)))
def test_windows_pass_in_the_pictures_where_one_is_a_candidate(logits: Array, across: int) -> None:
    chosen = calibration(crack=thresholds(gate=4), pit=thresholds(gate=-3))
    candidates, passing = chosen.candidates(logits), chosen.passing(logits, across)
    assert (passing | ~candidates).all()
    assert (passing.any(axis=0) == candidates.any(axis=0)).all()


def test_an_otsu_extent_never_reaches_above_the_peak() -> None:
    absolute = thresholds().model_copy(update={"level_of": "absolute"})
    assert [absolute.threshold_at(peak) for peak in (0.2, 5.0)] == [0.2, 0.3]
    assert thresholds().threshold_at(5.0) == pytest.approx(1.5)


def test_scores_that_part_the_classes_become_probabilities_that_do() -> None:
    logits = np.array([[0.0, 7], [1, 8], [9, 0], [10, 1], [0, 0], [1, 1]])
    targets = np.array([[0, 1], [0, 1], [1, 0], [1, 0], [0, 0], [0, 0]], bool)
    scores = Scores(logits, targets, list(range(6)))
    gates = choose_gates(scores, 0.0)
    per_class, (slope, offset) = probabilities(scores, gates)
    for k, (own_slope, own_offset) in enumerate(per_class):
        assert ((own_slope * logits[:, k] + own_offset > 0) == targets[:, k]).all()
    highest = ((logits - gates.usual) / gates.spread).max(axis=1)
    assert ((slope * highest + offset > 0) == targets.any(axis=1)).all()


def test_a_calibration_comes_back_from_json_and_refuses_nonsense() -> None:
    chosen = calibration(pit=thresholds(), crack=thresholds())
    again = Calibration.model_validate_json(chosen.model_dump_json())
    assert again == chosen
    assert list(again.classes) == ["pit", "crack"]
    for update in ({"false_alarms": 1.0}, {"slope": float("nan")}, {"saw_mask": True}):
        with pytest.raises(ValidationError):
            Calibration.model_validate({**chosen.model_dump(), **update})
