"""How alike two maps are, whatever their scales."""

import numpy as np
from scipy import stats

from relmask.arrays import FloatingArray, Mask


def highest(values: FloatingArray, pixels: int) -> Mask:
    """The so many highest values (H, W), as far as they are positive: masks hold no others."""
    mask = np.zeros(values.size, bool)
    mask[np.argsort(-values.ravel(), kind="stable")[:pixels]] = True
    found: Mask = mask.reshape(values.shape) & (values > 0)
    return found


def overlap(one: Mask, other: Mask) -> float:
    """IoU of two masks (H, W); 0 where both are empty."""
    both, either = int((one & other).sum()), int((one | other).sum())
    return both / max(either, 1)


def rank_correlation(one: FloatingArray, other: FloatingArray) -> float:
    """Spearman's, of all values of two maps (H, W); 0 where one has but one value, which says nothing."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(stats.spearmanr(one.ravel(), other.ravel()).statistic)
