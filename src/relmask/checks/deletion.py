"""Does the score depend on what is masked? The mask is inpainted, and so are copies of it elsewhere."""

from collections.abc import Sequence

import numpy as np
import torch

from relmask.checks.inpainting import inpaint, moved_copies
from relmask.checks.subjects import Judged
from relmask.checks.verdict import Deletion, Finding
from relmask.inference.model import Model

COPIES = 8
"""Moved copies that a mask has to beat."""
BEATEN = 0.7
"""Share of the pictures in which inpainting the mask must beat inpainting its copies."""


def deleted(model: Model, one: Judged, seed: int) -> Deletion:
    """Scores of a picture without its mask and without moved copies of it."""
    rng = np.random.default_rng(seed)
    copies = moved_copies(one.drawn.mask, COPIES, rng)
    painted = [inpaint(one.image, mask, rng) for mask in (one.drawn.mask, *copies)]
    images = torch.from_numpy(np.stack([one.image, *painted]).transpose(0, 3, 1, 2).copy())
    score, without, *others = model.logits(images)[:, one.k].tolist()
    return Deletion(
        picture=one.name,
        label=one.label,
        score=score,
        without_mask=without,
        without_copies=tuple(others),
    )


def score_falls(deletion: Sequence[Deletion]) -> Finding:
    """Does the score fall further without the masks than without their copies?"""
    if not deletion:
        return Finding(name="deletion", passed=None, says="There is no mask to inpaint.")
    share = float(np.mean([one.beaten for one in deletion]))
    falls = [one.score - one.without_mask for one in deletion]
    others = [one.score - float(np.mean(one.without_copies)) for one in deletion]
    return Finding(
        name="deletion",
        passed=share >= BEATEN and float(np.mean(falls)) > float(np.mean(others)),
        figure=share,
        limit=BEATEN,
        says=f"Inpainting the mask lowers the score by {np.mean(falls):.2f} logits, inpainting copies of it "
        f"elsewhere by {np.mean(others):.2f}; the mask wins in {share:.0%} of {len(deletion)} pictures "
        f"(at least {BEATEN:.0%}).",
    )
