"""Scores that the gates of a model are chosen from, once it is trained."""

import numpy as np
import torch
from torch import Tensor

from relmask.data.labelled import Labelled
from relmask.masks.gates import Scores
from relmask.models.kept_scores import KeptScores, Source
from relmask.training.classifier import Fitter


def scores_of(fitter: Fitter, logits: tuple[Tensor, Tensor], rate: float) -> KeptScores:
    """What the gates of a model that was just trained are chosen from.

    Where validation has fewer groups of clean images than the rate needs, the training images are judged,
    too, each by a head that never saw its group. Where there is no validation and no such head either, the
    model judges what it was trained on.

    Args:
        fitter: has trained the model.
        logits: what its `logits` gives, (N, K) of training and of validation.
        rate: share of clean images that may get a mask.
    """
    training, validation = fitter.training, fitter.validation
    inner, outer = logits
    crossed = fitter.cross_fitted() if _groups_of_negatives(validation) * rate < 1 else None
    parts: list[tuple[Source, Labelled, Tensor]] = [("validation", validation, outer)]
    if crossed is not None:
        parts.append(("cross-fitted", training, crossed))
    elif not validation.samples:
        parts = [("training", training, inner)]
    return KeptScores(
        Scores(
            torch.cat([values for _, _, values in parts]).double().numpy(),
            np.concatenate([part.targets.numpy() > 0 for _, part, _ in parts]),
            [group for _, part, _ in parts for group in part.groups],
        ),
        [sample.name for _, part, _ in parts for sample in part.samples],
        [source for source, part, _ in parts for _ in part.samples],
    )


def _groups_of_negatives(part: Labelled) -> int:
    return len({sample.group for sample in part.samples if not sample.labels})
