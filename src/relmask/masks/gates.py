"""Which image may get a mask: gates and probabilities from the logits of images and their labels."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from relmask.arrays import DoubleArray, FloatingArray, Mask
from relmask.masks.thresholds import Calibration
from relmask.words import counted


def threshold_for_false_alarms(
    peaks: FloatingArray, rate: float = 0.01, groups: Sequence[Hashable] | None = None
) -> float:
    """Threshold that at most a share `rate` of the clean images exceeds.

    Args:
        peaks: (N,) highest value in each clean image.
        rate: share of them that may exceed it, 0 <= rate < 1.
        groups: (N,) which images show the same object. Several exposures of one object are no independent
            evidence, so an image counts by one over the size of its group. None: each its own.

    Returns:
        Threshold; what is above it raises an alarm. It is one of the peaks: with fewer than 1 / rate groups
        the highest of all.

    Raises:
        ValueError: no peaks, one that is not finite, a rate out of range, or groups of another length.

    Example:
        >>> threshold_for_false_alarms(np.array([0.1, 0.4, 0.2, 0.9]), rate=0.25)
        0.4
    """
    peaks = np.asarray(peaks, dtype=np.float64)
    if not len(peaks) or not np.isfinite(peaks).all():
        raise ValueError("peaks must be finite and at least one")
    if not 0 <= rate < 1:
        raise ValueError(f"rate must be at least 0 and below 1, got {rate}")
    weights = _weights(groups, len(peaks))
    order = np.argsort(-peaks, kind="stable")
    above = np.cumsum(weights[order]) - weights[order]
    allowed = rate * weights.sum() + 1e-9
    # The lowest peak with no more than the allowed weight strictly above it.
    candidates = order[above <= allowed]
    return float(peaks[candidates].min())


def _weights(groups: Sequence[Hashable] | None, count: int) -> DoubleArray:
    if groups is None:
        return np.ones(count)
    if len(groups) != count:
        raise ValueError(f"{count} peaks but {len(groups)} groups")
    sizes: dict[Hashable, int] = {}
    for group in groups:
        sizes[group] = sizes.get(group, 0) + 1
    return np.array([1 / sizes[group] for group in groups])


def logistic_fit(scores: FloatingArray, positive: Mask, ridge: float = 1e-2) -> tuple[float, float]:
    """Slope and offset of a probability of being positive, sigmoid(slope * score + offset) (Platt 1999).

    Both kinds count the same in total, so 0.5 is where they are as likely. The slope is never negative.

    Args:
        scores: (N,).
        positive: (N,).
        ridge: weight that keeps the slope finite where the kinds do not overlap.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if positive.all() or not positive.any():
        return 1.0, 0.0
    spread = scores.std() or 1.0
    x = (scores - scores.mean()) / spread
    weight = np.where(positive, 0.5 / positive.sum(), 0.5 / (~positive).sum())
    slope, offset = 1.0, 0.0
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(slope * x + offset, -30, 30)))
        error, curve = weight * (p - positive), weight * p * (1 - p)
        gradient = np.array([(error * x).sum() + ridge * slope, error.sum()])
        hessian = np.array(
            [[(curve * x * x).sum() + ridge, (curve * x).sum()], [(curve * x).sum(), curve.sum()]]
        )
        step = np.linalg.solve(hessian + 1e-9 * np.eye(2), gradient)
        slope, offset = slope - step[0], offset - step[1]
        if np.abs(step).max() < 1e-8:
            break
    if slope < 0:  # scores that speak against the class say nothing of it: 0.5 whatever the score
        return 0.0, 0.0
    return slope / spread, offset - slope * scores.mean() / spread


@dataclass(frozen=True)
class Scores:
    """Logits of images that the judging head never saw.

    Attributes:
        logits: (N, K).
        targets: (N, K), is the class in the image?
        groups: (N,) which object each image shows.
    """

    logits: FloatingArray
    targets: Mask
    groups: Sequence[Hashable]

    @property
    def clean(self) -> Mask:
        """Which images (N,) show no class."""
        clean: Mask = ~np.any(self.targets, axis=1)
        return clean

    @property
    def negative(self) -> Mask:
        """Which images (N,) gates are chosen from: the clean ones; where there are none, all."""
        return self.clean if self.clean.any() else np.ones_like(self.clean)


@dataclass(frozen=True)
class Gates:
    """Where each class begins to be possible.

    Attributes:
        clean_median: (K,) median logit of the images without the class.
        clean_spread: (K,) their 95 % quantile less their median.
        limit: standardised logit above which an image is a candidate.
    """

    clean_median: FloatingArray
    clean_spread: FloatingArray
    limit: float

    @property
    def logits(self) -> FloatingArray:
        """(K,) gate of each class."""
        return self.clean_median + self.limit * self.clean_spread


def choose_gates(scores: Scores, rate: float) -> Gates:
    """Gates that at most a share `rate` of the clean images passes, whatever the class.

    Logits of different classes have different scales, so each is measured by what the images without the
    class reach. Where no image is clean, each class has its own images without it, and its own share.
    """
    negatives, clean = ~scores.targets, scores.clean
    count = scores.logits.shape[1]
    median, spread = np.zeros(count), np.ones(count)
    for k in range(count):
        without = scores.logits[clean if clean.any() else negatives[:, k], k]
        if len(without):
            median[k] = np.median(without)
            spread[k] = max(np.quantile(without, 0.95) - median[k], 1e-3)
    standardised = (scores.logits - median) / spread
    if clean.any():
        peaks = standardised[clean].max(axis=1)
        groups = [group for group, is_clean in zip(scores.groups, clean, strict=True) if is_clean]
        return Gates(median, spread, threshold_for_false_alarms(peaks, rate, groups))
    limits = np.zeros(count)
    for k in range(count):
        chosen = negatives[:, k]
        groups = [group for group, is_in in zip(scores.groups, chosen, strict=True) if is_in]
        limits[k] = threshold_for_false_alarms(standardised[chosen, k], rate, groups) if chosen.any() else 0.0
    return Gates(median + limits * spread, spread, 0.0)


def probabilities(scores: Scores, gates: Gates) -> tuple[list[tuple[float, float]], tuple[float, float]]:
    """Slope and offset of each class's probability; likewise of any defect, from the highest logit."""
    per_class = [
        logistic_fit(scores.logits[:, k], scores.targets[:, k]) for k in range(scores.logits.shape[1])
    ]
    highest = ((scores.logits - gates.clean_median) / gates.clean_spread).max(axis=1)
    return per_class, logistic_fit(highest, np.any(scores.targets, axis=1))


def gated_anew(calibration: Calibration, scores: Scores, rate: float) -> Calibration:
    """The same thresholds with gates for another share of false alarms, by the rule of a training.

    With the scores and the rate that a run's gates were chosen from, these are the run's gates.

    Args:
        calibration: says where masks end.
        scores: what its gates were chosen from, classes in its order.
        rate: share of clean images that may get a mask, 0 <= rate < 1.
    """
    gates = choose_gates(scores, rate)
    per_class, (slope, offset) = probabilities(scores, gates)
    classes = {
        name: thresholds.model_copy(
            update={
                "clean_median": float(gates.clean_median[k]),
                "clean_spread": float(gates.clean_spread[k]),
                "gate": float(gates.logits[k]),
                "slope": per_class[k][0],
                "offset": per_class[k][1],
            }
        )
        for k, (name, thresholds) in enumerate(calibration.classes.items())
    }
    negative = scores.negative
    return calibration.model_copy(
        update={
            "classes": classes,
            "false_alarms": rate,
            "slope": slope,
            "offset": offset,
            "negatives": int(negative.sum()),
            "groups": len({group for group, is_in in zip(scores.groups, negative, strict=True) if is_in}),
        }
    )


def too_few_negatives(calibration: Calibration, clean: str | None) -> str | None:
    """What a user must know who relies on the false-alarm rate; None where enough groups support it."""
    rate, groups = calibration.false_alarms, calibration.groups
    if not 0 < rate * groups < 1:
        return None
    lacked = "clean images" if clean else "images without a class"
    return (
        f"Only {counted(groups, 'group')} of {lacked}: too few to guarantee a false-alarm rate of {rate:.1%} "
        f"({math.ceil(1 / rate)} needed). The thresholds were set to the highest score of any of them."
    )
