"""The thresholds that fit the test masks best: an upper bound for every method, and no result."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relmask.evaluation.comparison.predictions import RawPrediction
from relmask.evaluation.ranking import Ranking
from relmask.masks.thresholds import Calibration, ClassThresholds

OPEN = -1e9
"""A gate that every logit passes."""


class Search:
    """RawPredictions at pictures with their true masks, and finds gate and level with the highest IoU.

    The gate is the calibrated one or none, the level any value of the maps.
    """

    def __init__(self) -> None:
        self._rankings = {gated: Ranking() for gated in (True, False)}

    def add(self, relevance: NDArray[np.float32] | None, passes: bool, truth: NDArray[np.bool_]) -> None:
        """Count a picture: its map (H, W) if it has one, whether it passes the gate, where the defect is."""
        for gated, ranking in self._rankings.items():
            shown = relevance if passes or not gated else None
            if shown is not None or truth.any():
                ranking.add(shown, truth)

    @property
    def ranking(self) -> Ranking:
        """Of all maps, whether or not their pictures pass the gate."""
        return self._rankings[False]

    def best(self, threshold: ClassThresholds) -> ClassThresholds:
        """The best thresholds, in place of these; these where no mask meets a defect."""
        found = {gated: ranking.best_iou() for gated, ranking in self._rankings.items()}
        gated = max(found, key=lambda gated: found[gated][1])
        level, iou = found[gated]
        if not iou:
            return threshold
        below = float(np.nextafter(np.float32(max(level, 1e-30)), np.float32(0)))
        gate = threshold.gate if gated else OPEN
        return threshold.model_copy(update={"gate": gate, "level": below})


@dataclass(frozen=True)
class Oracle:
    """The best that thresholds can do.

    Attributes:
        per_class: for each class its best.
        any_defect: one level for all, which is best for any defect.
        ranking: of any defect by the maps of all pictures.
    """

    per_class: Calibration
    any_defect: Calibration
    ranking: Ranking


def oracle_thresholds(
    seen: Iterable[tuple[RawPrediction, NDArray[np.uint8]]], calibration: Calibration
) -> Oracle:
    """Search them.

    Args:
        seen: predictions for pictures, and the pictures' true masks (H, W): 0 = background, k + 1 = class k.
        calibration: of the method, for the gates.
    """
    names, thresholds = zip(*calibration.classes.items(), strict=True)
    each, whole = [Search() for _ in names], Search()
    for prediction, truth in seen:
        passing = prediction.passing(calibration)
        for k, search in enumerate(each):
            search.add(prediction.maps.get(k), k in passing, truth == k + 1)
        shown = list((passing or prediction.maps).values())
        whole.add(np.max(shown, axis=0) if shown else None, bool(passing), truth > 0)
    per_class = [search.best(threshold) for search, threshold in zip(each, thresholds, strict=True)]
    any_defect = [whole.best(threshold) for threshold in thresholds]
    first, second = (
        calibration.model_copy(update={"classes": dict(zip(names, chosen, strict=True)), "saw_masks": True})
        for chosen in (per_class, any_defect)
    )
    return Oracle(first, second, whole.ranking)
