"""A run's thresholds from image-level labels alone."""

from collections.abc import Callable, Sequence

import numpy as np

from relmask.arrays import Mask
from relmask.masks.gates import Scores, choose_gates, probabilities
from relmask.masks.thresholds import Calibration, ClassThresholds
from relmask.progress import Progress, silent

OTSU = 1.0
"""Level of masks that are cut from support: Otsu's threshold, which support is measured in."""
EVEN_ODDS = 0.5
"""Probability above which a student's pixel belongs to the mask."""

LevelOf = Callable[[int, float], float]
"""Level at which masks of class k with this gate end."""


def otsu(k: int, gate: float) -> float:
    """Where masks end that are cut from support."""
    return OTSU


def even_odds(k: int, gate: float) -> float:
    """Where masks of a student end: its maps are probabilities."""
    return EVEN_ODDS


def choose_thresholds(
    scores: Scores,
    level_of: LevelOf,
    classes: Sequence[str],
    rate: float,
    *,
    cross_fitted: bool = False,
    progress: Progress = silent,
) -> Calibration:
    """Gates from scores, levels from whatever says where masks end.

    Args:
        scores: of pictures that the judging head never saw.
        level_of: see `LevelOf`.
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
            level=level_of(k, gate),
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
        never_clean=not clean.any(),
    )
