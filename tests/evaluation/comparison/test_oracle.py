import numpy as np
import pytest
from numpy.typing import NDArray

from relmask.evaluation.comparison.oracle import oracle_thresholds
from relmask.evaluation.comparison.predictions import RawPrediction, in_proportion
from relmask.evaluation.metrics import iou, overlap
from relmask.masks.binarise import combine
from relmask.masks.thresholds import Calibration, ClassThresholds
from tests.evaluation.test_evaluate import sample

BAD = ClassThresholds(clean_median=0, clean_spread=1, gate=5, level=0.9, slope=1, offset=0)
CALIBRATION = Calibration(
    classes={"crack": BAD, "pit": BAD},
    false_alarms=0.01,
    slope=1,
    offset=0,
    saw_masks=False,
    negatives=9,
    groups=9,
    cross_fitted=False,
)


def seen(scale: tuple[float, float]) -> list[tuple[RawPrediction, NDArray[np.uint8]]]:
    """Maps of a crack, of a pit and of a clean picture; each is right from half of its peak on."""
    rng = np.random.default_rng(0)
    found = []
    for k, name in enumerate(("crack", "pit", "")):
        truth = np.zeros((20, 20), np.uint8)
        truth[4:12, 5:9] = k + 1 if name else 0
        noise = 0.45 * rng.random((20, 20))
        relevance = (np.where(truth > 0, rng.uniform(0.55, 1, truth.shape), noise)).astype(np.float32)
        height = scale[k] if name else 0.3
        prediction = RawPrediction(np.array([4.0, 1.0]), {k % 2: height * relevance}, (20, 20), (0, 0))
        found.append((prediction, truth))
    return found


def masks(
    predictions: list[tuple[RawPrediction, NDArray[np.uint8]]], calibration: Calibration
) -> list[NDArray[np.uint8]]:
    thresholds = list(calibration.classes.values())
    return [
        combine(prediction.passing(calibration), dict(enumerate(thresholds)), prediction.shape)
        for prediction, _ in predictions
    ]


@pytest.mark.parametrize("scale", [(1.0, 1.0), (1.0, 7.0), (0.8, 50.0)])
def test_each_class_gets_the_threshold_that_fits_it(scale: tuple[float, float]) -> None:
    predictions = seen(scale)
    found = oracle_thresholds(predictions, CALIBRATION).per_class
    assert found.saw_masks
    for (_, truth), mask in zip(predictions, masks(predictions, found), strict=True):
        np.testing.assert_array_equal(mask, truth)


def test_one_level_for_any_defect_is_the_best_of_all_levels() -> None:
    predictions = seen((1.0, 1.1))
    shared = oracle_thresholds(predictions, CALIBRATION).any_defect
    assert len({threshold.level for threshold in shared.classes.values()}) == 1
    counts = [
        overlap(mask > 0, truth > 0)
        for mask, (_, truth) in zip(masks(predictions, shared), predictions, strict=True)
    ]
    assert float(iou(np.sum(counts, axis=0))) == 1.0


def test_where_nothing_is_found_the_thresholds_stay() -> None:
    blind = [(RawPrediction(np.zeros(2), {}, (4, 4), (0, 0)), np.ones((4, 4), np.uint8))]
    assert oracle_thresholds(blind, CALIBRATION).per_class.classes == CALIBRATION.classes


def test_every_beginning_of_the_order_holds_the_labels_in_proportion() -> None:
    samples = [sample(f"{number:02d}.png") for number in range(40)]
    labelled = [
        type(one)(one.path, one.name, frozenset({"crack"} if number < 10 else ()), one.group)
        for number, one in enumerate(samples)
    ]
    ordered = in_proportion(labelled, seed=0)
    assert sorted(one.name for one in ordered) == [one.name for one in samples]
    for end in range(8, 41, 8):
        assert abs(sum(bool(one.labels) for one in ordered[:end]) - end / 4) <= 1
