from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import relmask
from relmask.calibration.heatmaps import HeatmapThresholds, calibrate_heatmaps
from relmask.errors import UsageError

SIDE = 24
Maps = list[NDArray[np.float64]]


def heatmaps(count: int, spot: float, seed: int = 0) -> Maps:
    """Noise of spread 1; half of the maps have a spot of 4x4 that is `spot` higher and blurs into 2 px."""
    rng = np.random.default_rng(seed)
    maps = [rng.normal(0, 1, (SIDE, SIDE)) for _ in range(count)]
    for values in maps[: count // 2]:
        values[6:14, 6:14] += 0.2 * spot
        values[8:12, 8:12] += 0.8 * spot
    return maps


def labels(count: int) -> list[bool]:
    return [True] * (count // 2) + [False] * (count - count // 2)


def test_masks_cover_the_spots_and_clean_images_stay_empty() -> None:
    thresholds = calibrate_heatmaps(heatmaps(80, 40), labels(80))
    fresh = heatmaps(80, 40, seed=1)
    for values in fresh[:40]:
        mask = thresholds.mask(values)
        assert mask.dtype == np.uint8
        assert mask[8:12, 8:12].all()
        assert mask.sum() <= 64
    alarms = sum(thresholds.mask(values).any() for values in fresh[40:])
    assert alarms <= 3


def test_the_share_of_false_alarms_is_kept_on_the_images_given() -> None:
    maps = heatmaps(200, 0.0)  # nothing tells defective images
    thresholds = calibrate_heatmaps(maps, labels(200), false_alarms=0.1)
    clean = [thresholds.mask(values).any() for values in maps[100:]]
    assert sum(clean) == 10


def test_classes_get_thresholds_of_their_own() -> None:
    maps = heatmaps(80, 40)
    noise = heatmaps(80, 0)
    given: list[Mapping[str, NDArray[np.float64]]] = [
        {"crack": empty, "pit": 10 * values} if k < 20 else {"crack": values, "pit": 10 * empty}
        for k, (values, empty) in enumerate(zip(maps, noise, strict=True))
    ]
    named = ["pit"] * 20 + ["crack"] * 20 + [""] * 40
    thresholds = calibrate_heatmaps(given, named)
    assert thresholds.classes == ("crack", "pit")
    assert set(np.unique(thresholds.mask(given[0]))) == {0, 2}
    assert set(np.unique(thresholds.mask(given[25]))) == {0, 1}
    assert not thresholds.mask(given[60]).any()


def test_scores_of_the_network_decide_instead_of_the_highest_value() -> None:
    maps = heatmaps(80, 40)
    scores = [float(label) for label in labels(80)]
    thresholds = calibrate_heatmaps(maps, labels(80), scores=scores)
    assert thresholds.mask(maps[0], score=1.0).any()
    assert not thresholds.mask(maps[0], score=0.0).any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": [True]}, "Each heatmap needs a label"),
        ({"labels": [False] * 8}, "labelled clean"),
        ({"labels": [True] * 8}, "add clean ones"),
        ({"scores": [1.0]}, "1 scores for 8"),
        ({"scores": [[1.0, 2.0]] * 8}, "one for each of defect"),
        ({"groups": ["a"]}, "1 groups for 8"),
        ({"false_alarms": 1.0}, "false_alarms"),
        ({"heatmaps": [np.full((4, 4), np.nan)] * 8}, "finite"),
        ({"heatmaps": [np.zeros((4, 4, 3))] * 8}, r"array \(H, W\)"),
        ({"heatmaps": [np.zeros((4, 4), complex)] * 8}, "complex128"),
        ({"labels": ["crack", "pit"] + [""] * 6}, "a mapping from each"),
        ({"heatmaps": [{"pit": np.zeros((4, 4))}] * 8}, "lacks the classes defect"),
    ],
)
def test_what_does_not_fit_together_is_told(changes: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"heatmaps": heatmaps(8, 9), "labels": labels(8)} | changes
    with pytest.raises(UsageError, match=message):
        calibrate_heatmaps(**given)


def test_it_is_public() -> None:
    assert relmask.calibrate_heatmaps is calibrate_heatmaps
    assert relmask.HeatmapThresholds is HeatmapThresholds
