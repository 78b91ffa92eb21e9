"""The thresholds that fit the test masks best: an upper bound for every method, and no result."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from relmask.evaluation.comparison.predictions import RawPrediction
from relmask.evaluation.ranking import Ranking
from relmask.masks.thresholds import Calibration, ClassThresholds

OPEN = -1e9
"""A gate that every logit passes."""

Kind = tuple[bool, Literal["absolute", "peak"]]
KINDS: tuple[Kind, ...] = ((True, "absolute"), (True, "peak"), (False, "absolute"), (False, "peak"))
"""Is the calibrated gate kept, and what is the level measured by?"""


class Search:
    """RawPredictions at pictures with their true masks, and finds gate and level with the highest IoU.

    The gate is the calibrated one or none; the level any relevance, or any share of a picture's peak.
    """

    def __init__(self) -> None:
        self._rankings = {kind: Ranking() for kind in KINDS}

    def add(self, relevance: NDArray[np.float32] | None, passes: bool, truth: NDArray[np.bool_]) -> None:
        """Count a picture: its map (H, W) if it has one, whether it passes the gate, where the defect is."""
        for (gated, of), ranking in self._rankings.items():
            shown = relevance if passes or not gated else None
            if shown is not None and of == "peak":
                shown = shown / max(float(shown.max()), 1e-30)
            if shown is not None or truth.any():
                ranking.add(shown, truth)

    @property
    def ranking(self) -> Ranking:
        """Of all maps, whether or not their pictures pass the gate."""
        return self._rankings[False, "absolute"]

    def best(self, threshold: ClassThresholds) -> ClassThresholds:
        """The best thresholds, in place of these; these where no mask meets a defect."""
        found = {kind: ranking.best_iou() for kind, ranking in self._rankings.items()}
        gated, of = max(found, key=lambda kind: found[kind][1])
        level, iou = found[gated, of]
        if not iou:
            return threshold
        below = float(np.nextafter(np.float32(max(level, 1e-30)), np.float32(0)))
        gate = threshold.gate if gated else OPEN
        return threshold.model_copy(update={"gate": gate, "level": below, "level_of": of})


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
