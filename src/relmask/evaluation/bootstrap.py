"""Confidence intervals of the figures, by a bootstrap over groups."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from relmask.evaluation.metrics import (
    FloatArray,
    Interval,
    Intervals,
    Tally,
    f1,
    f1_tolerant,
    iou,
    mean_defined,
)
from relmask.ranking import weighted_auroc

_AT_ONCE = 100  # resamples whose weights are in memory together


def intervals(tally: Tally, *, resamples: int = 1000, seed: int = 0) -> Intervals:
    """95 % intervals of the figures of a tally, from the quantiles of resampled groups.

    Pictures of one part stand or fall together, so groups are drawn, not images. An interval is None where
    there are fewer than two groups, or where fewer than half of the resamples define the figure.
    """
    counts = tally.counts().astype(np.float64)
    defective = np.array([bool(outcome.labels) for outcome in tally.outcomes])
    scores = np.array([outcome.score for outcome in tally.outcomes])
    empty = counts[:, 0, 1] == 0
    passed = np.array([outcome.passed for outcome in tally.outcomes])
    peaks = np.array([[sum(o.peaks.values()), len(o.peaks)] for o in tally.outcomes]).reshape(-1, 2)
    groups = [outcome.group for outcome in tally.outcomes]
    rows = [np.zeros((0, 8 + len(tally.classes)))]
    for weights in _weights(groups, resamples, seed):
        sums = np.tensordot(weights, counts, 1)  # (resamples, 1 + classes, 5)
        ious = iou(sums)
        whole = (ious[:, 0], f1(sums)[:, 0], f1_tolerant(sums)[:, 0], mean_defined(ious[:, 1:]))
        images = (
            weighted_auroc(scores, defective, weights),
            _share(empty & ~defective, ~defective, weights),
            _share(passed & defective, defective, weights),
            _share(peaks[:, 0], peaks[:, 1], weights),
        )
        rows.append(np.column_stack([*whole, *images, *ious[:, 1:].T]))
    found = [interval(column) for column in np.concatenate(rows).T]
    return Intervals(
        iou=found[0],
        f1=found[1],
        f1_tol2=found[2],
        mean_iou=found[3],
        auroc=found[4],
        empty_share=found[5],
        recall_at_gate=found[6],
        peak_on_defect=found[7],
        per_class=dict(zip(tally.classes, found[8:], strict=True)),
    )


def interval(values: FloatArray) -> Interval:
    """Quantiles 2.5 % and 97.5 % of the values that are not NaN; None where fewer than half are."""
    known = values[~np.isnan(values)]
    if len(known) == 0 or 2 * len(known) < len(values):
        return None
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)


def _share(hits: NDArray[np.generic], among: NDArray[np.generic], weights: FloatArray) -> FloatArray:
    """Weighted sum of hits (N,) over that of what could be hit (N,); NaN where there is none."""
    total = weights @ among.astype(float)
    share: FloatArray = weights @ hits.astype(float) / np.where(total > 0, total, np.nan)
    return share


def _weights(groups: Sequence[str], resamples: int, seed: int) -> Iterator[FloatArray]:
    """How often each image is drawn: arrays (at most 100, images), `resamples` rows in all."""
    names, member = np.unique(np.array(groups), return_inverse=True)
    if len(names) < 2:
        return
    rng = np.random.default_rng(seed)
    even = np.full(len(names), 1 / len(names))
    for start in range(0, resamples, _AT_ONCE):
        drawn = rng.multinomial(len(names), even, size=min(_AT_ONCE, resamples - start))
        yield drawn[:, member].astype(np.float64)
