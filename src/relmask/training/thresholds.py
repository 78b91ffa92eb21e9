"""Thresholds of a model that was just trained, from its own labelled pictures."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from relmask.calibration.explanations import EXPLAINED, Explanations
from relmask.calibration.from_labels import choose_thresholds, level_from_labels
from relmask.calibration.gates import Scores
from relmask.data.labelled import Labelled
from relmask.data.splits import draw
from relmask.masks.thresholds import Calibration
from relmask.models.guided import GuidedClassifier
from relmask.training.fit import predict_logits
from relmask.training.fitter import Fitter
from relmask.training.image_novelty import as_if_unseen
from relmask.training.sources import CachedFeatures, WholePictures

FOLDS = 2
"""Parts of the training pictures, each judged by a head that was trained on the others."""


def thresholds_of(
    fitter: Fitter,
    sources: Sequence[CachedFeatures | WholePictures],
    parts: Sequence[Labelled],
    classes: Sequence[str],
    rate: float,
    explained: int = EXPLAINED,
) -> Calibration:
    """Thresholds of a model that was just trained.

    Where validation has fewer groups of clean images than the rate needs, the training images are judged,
    too, each by a head that never saw its group. Where there is no validation and no such head either, the
    model judges what it was trained on, as if its memory lacked the group of each.

    Args:
        fitter: holds the model.
        sources: predictions for training and validation.
        parts: their samples and targets.
        classes: names, in the order of the targets.
        rate: share of clean images that may get a mask.
        explained: images of a class, at most, that are explained to choose the level of its masks.
    """
    training, validation = parts
    source, inner = sources[0], predict_logits(fitter.network, sources[0], len(training.targets))
    if isinstance(fitter.network, GuidedClassifier):
        inner = inner + as_if_unseen(fitter.network, source, training)
    logits = torch.zeros_like(validation.targets)
    if validation.samples:
        logits = predict_logits(fitter.network, sources[1], len(validation.targets))
    scores = _scores(validation, logits)
    cross_fitted = False
    if isinstance(source, CachedFeatures) and len(set(training.groups)) >= FOLDS:
        cross_fitted = _groups_of_negatives(validation) * rate < 1
        if cross_fitted:
            scores = _joined(scores, _scores(training, _cross_fit(fitter, source, training)))
    if not len(scores.logits):
        scores = _scores(training, inner)
    explanations = Explanations(
        fitter.model,
        (*validation.samples, *training.samples),
        torch.cat([logits, inner]).double().numpy(),
        torch.cat([validation.targets, training.targets]).numpy() > 0,
        unseen=len(validation.samples),
        explained=explained,
    )
    return choose_thresholds(
        scores,
        partial(level_from_labels, explanations),
        classes,
        rate,
        cross_fitted=cross_fitted,
        progress=fitter.progress,
    )


def _cross_fit(fitter: Fitter, source: CachedFeatures, training: Labelled) -> torch.Tensor:
    """Logits (N, K) of training pictures, each by a head that saw no picture of its group."""
    strata: dict[str, set[str]] = {str(group): set() for group in training.groups}
    for sample in training.samples:
        strata[str(sample.group)] |= sample.labels or {""}
    names = [f"fold {number}" for number in range(FOLDS)]
    folds = draw(strata, dict.fromkeys(names, 1 / FOLDS), fitter.seed)
    logits = torch.zeros_like(training.targets)
    for number, name in enumerate(names):
        held_out = [i for i, group in enumerate(training.groups) if folds[str(group)] == name]
        if held_out:
            logits[held_out] = fitter.fit_without(source, training, held_out)
        fitter.progress("cross-fitting", number + 1, FOLDS)
    return logits


def _scores(part: Labelled, logits: torch.Tensor) -> Scores:
    return Scores(logits.double().numpy(), part.targets.numpy() > 0, part.groups)


def _joined(one: Scores, other: Scores) -> Scores:
    return Scores(
        np.concatenate([one.logits, other.logits]),
        np.concatenate([one.targets, other.targets]),
        [*one.groups, *other.groups],
    )


def _groups_of_negatives(part: Labelled) -> int:
    return len({sample.group for sample in part.samples if not sample.labels})
