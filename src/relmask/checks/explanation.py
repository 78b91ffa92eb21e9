"""Does relevance depend on the weights that it passes (Sixt et al. 2020), and how much of it arrives?

This is a question to the rules, so relevance itself is judged. A mask could not tell: where it lies is
decided by where relevance starts and by which features are active, its border by the edges of the picture.
Masks of magnetic tiles through random weights overlapped those of the run with an IoU of 0.8, through flat
rules with 1.
"""

from collections.abc import Sequence

import numpy as np

from relmask.checks.likeness import highest, overlap, rank_correlation
from relmask.checks.redrawn import WayBack
from relmask.checks.subjects import Judged
from relmask.checks.verdict import Finding, Weights

USES_WEIGHTS = 0.9
"""Highest IoU of relevance with that through random weights. Trained runs had up to 0.7, flat rules 1."""
MOST = 1.5
"""Largest share of the evidence that may arrive: beyond, relevance was made on the way."""


def through_random_weights(one: Judged, way: WayBack) -> Weights:
    """How alike relevance and relevance through random weights are, in as many pixels as the mask has."""
    pixels = int(one.drawn.mask.sum())
    masks = (highest(values, pixels) for values in (way.relevance, way.through))
    return Weights(
        picture=one.name,
        label=one.label,
        iou=overlap(*masks),
        rank_correlation=rank_correlation(way.relevance, way.through),
    )


def weights_used(compared: Sequence[Weights]) -> Finding:
    """Does relevance depend on the weights on its way back?"""
    if not compared:
        return Finding(name="weights", passed=None, says="There is no relevance that passed any weights.")
    iou = float(np.mean([one.iou for one in compared]))
    return Finding(
        name="weights",
        passed=iou <= USES_WEIGHTS,
        figure=iou,
        limit=USES_WEIGHTS,
        says=f"Through random weights on the way back, relevance overlaps that of the run with an IoU of "
        f"{iou:.2f} (at most {USES_WEIGHTS}).",
    )


def relevance_kept(shares: Sequence[float]) -> Finding:
    """Does the evidence arrive at the pixels, and nothing but the evidence?"""
    if not shares:
        return Finding(name="conserved", passed=None, says="There is no relevance to follow.")
    middle = float(np.median(shares))
    return Finding(
        name="conserved",
        passed=0 < middle <= MOST,
        figure=middle,
        limit=MOST,
        says=f"{middle:.1%} of the evidence arrives at the pixels (more than 0, at most {MOST:.0%}); "
        "biases keep the rest.",
    )
