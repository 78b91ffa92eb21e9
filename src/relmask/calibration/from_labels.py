"""A run's thresholds from image-level labels alone."""

from collections.abc import Callable, Sequence

from relmask.masks.gates import Scores, gated_anew
from relmask.masks.thresholds import Calibration, ClassThresholds

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
    floors: Callable[[Calibration], Sequence[float]] | None = None,
    cross_fitted: bool = False,
    clean_known: bool = False,
) -> Calibration:
    """Gates from scores, levels from whatever says where masks end.

    Args:
        scores: of pictures that the judging head never saw.
        level_of: see `LevelOf`.
        classes: names, in the order of the logits.
        rate: share of clean images that may get a mask.
        floors: of each class, given the gates, see `choose_floors`; None: 0.
        cross_fitted: are training images among the scores, each judged by a head that never saw it?
        clean_known: do the data have clean images, even where none is among the scores?
    """
    # Takes the gates of the scores; its level is replaced, too
    blank = ClassThresholds(clean_median=0, clean_spread=1, gate=0, level=1, slope=1, offset=0)
    ungated = Calibration(
        classes=dict.fromkeys(classes, blank),
        false_alarms=rate,
        slope=1,
        offset=0,
        saw_masks=False,
        negatives=0,
        groups=0,
        never_clean=not (clean_known or scores.clean.any()),
        cross_fitted=cross_fitted,
    )
    gated = gated_anew(ungated, scores, rate)
    chosen_floors = floors(gated) if floors is not None else [0.0] * len(classes)
    chosen = {
        name: own.model_copy(update={"level": level_of(k, own.gate), "floor": chosen_floors[k]})
        for k, (name, own) in enumerate(gated.classes.items())
    }
    return gated.model_copy(update={"classes": chosen})
