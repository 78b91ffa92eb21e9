"""AUROC: how well scores tell positives from negatives."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def auroc(scores: ArrayLike, positive: ArrayLike) -> float | None:
    """Chance that a positive scores above a negative; a tie counts half.

    Args:
        scores: (N,), any numbers but NaN.
        positive: (N,) of bool.

    Returns:
        The area; None without a positive or without a negative.

    Example:
        >>> auroc([0.1, 0.4, 0.4, 0.9], [False, False, True, True])
        0.875
    """
    values = np.asarray(scores)
    (area,) = weighted_auroc(values, positive, np.ones((1, len(values))))
    return None if np.isnan(area) else float(area)


def weighted_auroc(
    scores: ArrayLike, positive: ArrayLike, weights: NDArray[np.floating]
) -> NDArray[np.float64]:
    """AUROC for each row of weights, by ranks: flat memory, and time as for sorting.

    Args:
        scores: (N,), any numbers but NaN.
        positive: (N,) of bool.
        weights: (R, N), how often each of the N is there.

    Returns:
        (R,); NaN where a row has no positive or no negative.
    """
    values, kind = np.asarray(scores), np.asarray(positive, bool)
    if not values.size:
        return np.full(len(weights), np.nan)
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))  # of what is tied
    above = np.add.reduceat((weights * kind)[:, order], starts, axis=1)
    below = np.add.reduceat((weights * ~kind)[:, order], starts, axis=1)
    beaten = np.cumsum(below, 1) - below / 2
    pairs = above.sum(1) * below.sum(1)
    area: NDArray[np.float64] = np.divide(
        (above * beaten).sum(1), pairs, out=np.full(len(weights), np.nan), where=pairs > 0
    )
    return area
