"""A run's thresholds from image-level labels alone."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from relmask.arrays import Mask
from relmask.calibration.explanations import Explanations
from relmask.calibration.levels import (
    CLEARLY,
    FALLBACK,
    LARGE,
    choose_level,
    choose_propagated_level,
    otsu_level,
)
from relmask.masks.gates import Scores, choose_gates, probabilities
from relmask.masks.thresholds import Calibration, ClassThresholds
from relmask.progress import Progress

EVEN_ODDS = 0.5
"""Probability above which a student's pixel belongs to the mask."""

LevelOf = Callable[[int, float], dict[str, Any]]
"""Where masks of class k with this gate end: `ClassThresholds` from `level` to `anomalous`."""


def choose_thresholds(
    scores: Scores,
    level_of: LevelOf,
    classes: Sequence[str],
    rate: float,
    *,
    cross_fitted: bool = False,
    progress: Progress,
) -> Calibration:
    """Gates from scores, levels from relevance.

    Args:
        scores: of pictures that the judging head never saw.
        level_of: see `level_from_labels` and `even_odds`.
        classes: names, in the order of the logits.
        rate: share of clean images that may get a mask.
        cross_fitted: are training images among the scores, each judged by a head that never saw it?
        progress: called after every class.
    """
    gates = choose_gates(scores, rate)
    per_class, (slope, offset) = probabilities(scores, gates)
    chosen: dict[str, ClassThresholds] = {}
    for k, name in enumerate(classes):
        gate = float(gates.logits[k])
        chosen[name] = ClassThresholds(
            clean_median=float(gates.clean_median[k]),
            clean_spread=float(gates.clean_spread[k]),
            gate=gate,
            **level_of(k, gate),
            slope=per_class[k][0],
            offset=per_class[k][1],
        )
        progress("calibrating", k + 1, len(classes))
    clean: Mask = ~np.any(scores.targets, axis=1)
    negative = clean if clean.any() else np.ones_like(clean)
    return Calibration(
        classes=chosen,
        false_alarms=rate,
        slope=slope,
        offset=offset,
        saw_masks=False,
        negatives=int(negative.sum()),
        groups=len({group for group, is_in in zip(scores.groups, negative, strict=True) if is_in}),
        cross_fitted=cross_fitted,
    )


def even_odds(k: int, gate: float) -> dict[str, Any]:
    """Where masks of a student end: its maps are probabilities."""
    return {"level": EVEN_ODDS, "level_of": "absolute", "large": False, "anomalous": None}


def level_from_labels(explanations: Explanations, k: int, gate: float) -> dict[str, Any]:
    """Where masks of class k end: `ClassThresholds` from `level` to `anomalous`."""
    chosen = explanations.positives(k, gate)
    maps = explanations.maps(chosen, k, gate)
    if explanations.model.spec.windows and maps:
        return {"level": otsu_level(maps), "level_of": "absolute", "large": False, "anomalous": None}
    level, large, anomalous = FALLBACK, False, None
    if maps:
        alike = explanations.appearance(chosen).explains
        level, likeness = choose_level(maps, partial(explanations.cleaned, k, gate, chosen), alike)
        limit = explanations.anomalous(k)
        grows = limit is not None and explanations.grows(chosen, k, maps, limit)
        if limit is not None and (grows or level < LARGE):
            limit = limit if grows else None
            whole = explanations.completed(chosen, k, maps, limit)
            reached, of_whole = choose_propagated_level(whole, alike)
            if CLEARLY * of_whole >= likeness:
                level, large, anomalous = reached, True, limit
    return {"level": level, "level_of": "peak", "large": large, "anomalous": anomalous}
