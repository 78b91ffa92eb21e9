import numpy as np
import pytest

from relmask.arrays import DoubleArray, Mask
from relmask.calibration.from_labels import EVEN_ODDS, OTSU, choose_thresholds, even_odds, otsu
from relmask.masks.gates import Scores

CLASSES = ("crack", "pit")


def case(clean: int = 40, defective: int = 20) -> tuple[Scores, DoubleArray, Mask]:
    """Two classes; clean images first. Logits tell the classes apart but for one clean image in 40."""
    rng = np.random.default_rng(0)
    targets = np.zeros((clean + defective, 2), bool)
    targets[clean::2, 0] = targets[clean + 1 :: 2, 1] = True
    logits = rng.normal(0, 0.1, targets.shape) + 5 * targets
    logits[:clean:40, 0] = 3
    return Scores(logits, targets, list(range(len(targets)))), logits, targets


def test_thresholds_let_as_many_clean_images_pass_as_allowed() -> None:
    scores, logits, targets = case()
    found = choose_thresholds(scores, otsu, CLASSES, 0.03)
    passes = found.candidates(logits)
    assert passes[:40].any(axis=1).sum() == 1
    assert (passes[40:] & targets[40:]).any(axis=1).all()
    assert (found.negatives, found.groups, found.saw_masks, found.cross_fitted) == (40, 40, False, False)
    assert found.false_alarms == 0.03
    assert list(found.classes) == ["crack", "pit"]
    assert (found.defect_probability(logits[40:]) > 0.5).all()
    for k, of in enumerate(found.classes.values()):
        chance = np.array([of.probability(logit) for logit in logits[40:, k]])
        assert ((chance > 0.5) == targets[40:, k]).all()


def test_masks_end_at_otsus_threshold_and_those_of_a_student_at_even_odds() -> None:
    scores = case()[0]
    for level_of, level in ((otsu, OTSU), (even_odds, EVEN_ODDS)):
        found = choose_thresholds(scores, level_of, CLASSES, 0.03)
        assert {of.level for of in found.classes.values()} == {level}


def test_a_level_may_hang_on_the_class_and_on_its_gate() -> None:
    found = choose_thresholds(case()[0], lambda k, gate: (k + 1) * gate, CLASSES, 0.03)
    crack, pit = found.classes.values()
    assert (crack.level, pit.level) == (crack.gate, 2 * pit.gate)


def test_the_groups_of_exposures_count_once() -> None:
    _, logits, targets = case()
    paired = Scores(logits, targets, [row // 2 for row in range(60)])
    found = choose_thresholds(paired, otsu, CLASSES, 0.03, cross_fitted=True)
    assert (found.negatives, found.groups, found.cross_fitted) == (40, 20, True)


def test_without_clean_images_all_count_as_negatives_of_some_class() -> None:
    scores, logits, targets = case(clean=0)
    found = choose_thresholds(scores, otsu, CLASSES, 0.0)
    assert (found.negatives, found.groups) == (20, 20)
    assert (found.candidates(logits) == targets).all()


@pytest.mark.parametrize(
    ("clean", "known", "never"), [(40, False, False), (0, False, True), (0, True, False), (40, True, False)]
)
def test_only_data_without_any_clean_image_know_none(clean: int, known: bool, never: bool) -> None:
    scores = case(clean)[0]
    found = choose_thresholds(scores, otsu, CLASSES, 0.03, clean_known=known)
    assert found.never_clean == never
    nothing = np.full((1, 2), -9.0)
    assert found.candidates(nothing).any() == never
