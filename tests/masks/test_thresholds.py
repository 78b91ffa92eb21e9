import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pydantic import ValidationError

from relmask.masks.thresholds import Calibration, ClassThresholds

Array = NDArray[np.float64]


def thresholds(gate: float = 1.0, median: float = 0.0, spread: float = 1.0) -> ClassThresholds:
    return ClassThresholds(clean_median=median, clean_spread=spread, gate=gate, level=0.3, slope=2, offset=-1)


def calibration(never_clean: bool = False, **classes: ClassThresholds) -> Calibration:
    return Calibration(
        classes=classes,
        false_alarms=0.01,
        slope=1,
        offset=-2,
        saw_masks=False,
        negatives=9,
        groups=9,
        never_clean=never_clean,
        cross_fitted=False,
    )


def test_any_defect_is_as_likely_as_the_class_that_stands_out_most() -> None:
    chosen = calibration(crack=thresholds(median=-10, spread=0.5), pit=thresholds(median=0, spread=4))
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


def test_where_no_picture_is_clean_the_class_that_stands_out_most_passes() -> None:
    chosen = calibration(never_clean=True, crack=thresholds(gate=4), pit=thresholds(gate=9, median=5))
    logits = np.array([[1.0, 5.5], [0.1, 5.5], [-9, -9], [5, 10], [4.5, 7]])
    # Over what is usual without the class: 1 0.5, 0.1 0.5, -9 -14, 5 5, 4.5 2.
    assert chosen.candidates(logits).tolist() == [
        [True, False],
        [False, True],
        [True, False],
        [True, True],
        [True, False],
    ]
    known = chosen.model_copy(update={"never_clean": False})
    assert known.candidates(logits).tolist() == [[False] * 2] * 3 + [[True, True], [True, False]]


@given(
    arrays(np.float64, (8, 3), elements=st.floats(-9, 9, width=32)), st.sampled_from((np.float32, np.float64))
)
def test_where_no_picture_is_clean_each_has_a_class_and_no_gate_is_lost(
    logits: Array, kind: type[np.float32 | np.float64]
) -> None:
    classes = {
        name: thresholds(gate=gate, median=gate / 2) for name, gate in zip("abc", (1, -2, 6), strict=True)
    }
    plain, forced = (
        calibration(never_clean, **classes).candidates(logits.astype(kind)) for never_clean in (False, True)
    )
    assert forced.any(axis=1).all()
    assert (forced | ~plain).all()
    assert (forced & ~plain).sum(axis=1).max() <= 1


def test_no_picture_has_no_candidates() -> None:
    for never_clean in (False, True):
        chosen = calibration(never_clean, crack=thresholds(), pit=thresholds())
        assert chosen.candidates(np.zeros((0, 2))).shape == (0, 2)


def test_where_no_picture_is_clean_its_strongest_window_passes_and_what_even_odds_connect_to_it() -> None:
    chosen = calibration(never_clean=True, crack=thresholds(gate=4), pit=thresholds(gate=9))
    row = np.array([[1, 0.6, 0, 2, 0.7, 0.4, 1.9]])
    logits = np.stack([row.ravel(), np.full(7, 0.3)], axis=1)
    assert chosen.passing(logits, across=7)[:, 0].tolist() == [False, False, False, True, True, False, False]
    assert not chosen.passing(logits, across=7)[:, 1].any()
    faint = logits - 5  # below even odds: the strongest window alone
    assert np.flatnonzero(chosen.passing(faint, across=7)[:, 0]).tolist() == [3]
    assert not chosen.model_copy(update={"never_clean": False}).passing(logits, across=7).any()


def test_a_calibration_comes_back_from_json_and_refuses_nonsense() -> None:
    chosen = calibration(pit=thresholds(), crack=thresholds())
    again = Calibration.model_validate_json(chosen.model_dump_json())
    assert again == chosen
    assert list(again.classes) == ["pit", "crack"]
    for update in ({"false_alarms": 1.0}, {"slope": float("nan")}, {"saw_mask": True}):
        with pytest.raises(ValidationError):
            Calibration.model_validate({**chosen.model_dump(), **update})
