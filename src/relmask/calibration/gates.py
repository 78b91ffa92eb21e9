"""Thresholds from clean images alone."""

import math
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]


def threshold_for_false_alarms(
    peaks: FloatArray, rate: float = 0.01, groups: Sequence[Hashable] | None = None
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


def _weights(groups: Sequence[Hashable] | None, count: int) -> NDArray[np.float64]:
    if groups is None:
        return np.ones(count)
    if len(groups) != count:
        raise ValueError(f"{count} peaks but {len(groups)} groups")
    sizes: dict[Hashable, int] = {}
    for group in groups:
        sizes[group] = sizes.get(group, 0) + 1
    return np.array([1 / sizes[group] for group in groups])


def logistic_fit(scores: FloatArray, positive: NDArray[np.bool_], ridge: float = 1e-2) -> tuple[float, float]:
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
    slope = max(slope, 0.0)
    return slope / spread, offset - slope * scores.mean() / spread


def sigmoid(value: float) -> float:
    """1 / (1 + exp(-value)), without overflow."""
    return 0.5 * (1 + math.tanh(value / 2))
