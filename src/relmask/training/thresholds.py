"""Thresholds of a model that was just trained, from its own labelled pictures."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from relmask.calibration.explanations import Explanations
from relmask.calibration.from_labels import choose_thresholds, level_from_labels
from relmask.calibration.gates import Scores
from relmask.data.labelled import Labelled
from relmask.masks.thresholds import Calibration
from relmask.training.classifier import Fitter


def thresholds_of(
    fitter: Fitter,
    logits: tuple[Tensor, Tensor],
    classes: Sequence[str],
    rate: float,
) -> Calibration:
    """Thresholds of a model that was just trained.

    Where validation has fewer groups of clean images than the rate needs, the training images are judged,
    too, each by a head that never saw its group. Where there is no validation and no such head either, the
    model judges what it was trained on.

    Args:
        fitter: has trained the model.
        logits: what its `logits` gives, (N, K) of training and of validation.
        classes: names, in the order of the targets.
        rate: share of clean images that may get a mask.
    """
    training, validation = fitter.training, fitter.validation
    inner, outer = logits
    crossed = fitter.cross_fitted() if _groups_of_negatives(validation) * rate < 1 else None
    if crossed is not None:
        scores = _scores([validation, training], [outer, crossed])
    else:
        scores = _scores([validation], [outer]) if validation.samples else _scores([training], [inner])
    explanations = Explanations(
        fitter.model,
        (*validation.samples, *training.samples),
        torch.cat([outer, inner]).double().numpy(),
        torch.cat([validation.targets, training.targets]).numpy() > 0,
        unseen=len(validation.samples),
        explained=fitter.plan.effort.explained,
    )
    return choose_thresholds(
        scores,
        partial(level_from_labels, explanations),
        classes,
        rate,
        cross_fitted=crossed is not None,
        progress=fitter.progress,
    )


def _scores(parts: Sequence[Labelled], logits: Sequence[Tensor]) -> Scores:
    return Scores(
        torch.cat([*logits]).double().numpy(),
        np.concatenate([part.targets.numpy() > 0 for part in parts]),
        [group for part in parts for group in part.groups],
    )


def _groups_of_negatives(part: Labelled) -> int:
    return len({sample.group for sample in part.samples if not sample.labels})
