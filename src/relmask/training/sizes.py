"""The size at which images are seen, chosen from labels: the one at which unseen groups are judged best.

A larger input shows smaller defects and gives sharper masks, but each location of the network sees less of
the surroundings, and some textures look like defects. Labels tell which counts for more: heads on the frozen
features of each size judge images of groups that they never saw.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from relmask.data.labelled import Labelled
from relmask.data.splits import draw
from relmask.files import write_json
from relmask.inference.explained import ExplainedClassifier
from relmask.masks.gates import logistic_fit
from relmask.record import Record
from relmask.training.classifier import Fitter, FrozenFitter
from relmask.training.plan import Plan

MakeFitter = Callable[[Plan, ExplainedClassifier, Labelled, Labelled], Fitter]
"""(plan, model, training, validation) -> what trains the model."""


class SizeChoice(Record):
    """What `sizes.json` holds.

    Attributes:
        size: side in pixels of the input that was chosen.
        losses: of each size that was tried, see `unseen_loss`; none where no group could be left out.
        images: how many training images were judged.
    """

    size: int
    losses: dict[int, float]
    images: int


def fitter_of_best_size(
    candidates: Sequence[tuple[Plan, ExplainedClassifier]],
    make: MakeFitter,
    training: Labelled,
    validation: Labelled,
    path: Path,
) -> Fitter:
    """What trains the candidate that judges unseen groups best; the smaller one where nothing tells.

    Args:
        candidates: plans and their models, smallest input first. Of several, all are frozen.
        make: makes a fitter, which computes the features of its images.
        training: images to train on; about `Effort.compared` of them at most, in whole groups, are judged.
        validation: images of the training to come.
        path: sizes.json; where it is there, an interrupted training goes on with what it says.
    """
    if len(candidates) == 1:
        return make(*candidates[0], training, validation)
    if path.is_file():
        choice = SizeChoice.model_validate_json(path.read_bytes())
        return make(*_of_size(candidates, choice.size), training, validation)
    judged = _some(training, candidates[0][0].effort.compared)
    whole = len(judged.samples) == len(training.samples)
    fitters, losses = [], {}
    for plan, model in candidates:
        fitter = make(plan, model, judged, validation if whole else training.take([]))
        loss = _judged(fitter)
        if loss is not None:
            losses[plan.input.size] = loss
        fitters.append(fitter)
    sizes = [plan.input.size for plan, _ in candidates]
    best = min(sizes, key=lambda size: losses.get(size, np.inf))
    choice = SizeChoice(size=best, losses=losses, images=len(judged.samples))
    write_json(path, choice.model_dump(mode="json"))
    return fitters[sizes.index(best)] if whole else make(*_of_size(candidates, best), training, validation)


def unseen_loss(logits: Tensor, targets: Tensor) -> float:
    """Balanced cross-entropy of logits (N, K), each class on the scale that suits it best (Platt 1999).

    Args:
        logits: of images of which the head saw no group.
        targets: (N, K), 1 where the class is in the image.

    Returns:
        Mean over the classes, in nats: 0 where all is right and sure, 0.69 where nothing is known.
    """
    losses = []
    for scores, positive in zip(logits.double().numpy().T, targets.numpy().T > 0, strict=True):
        if not 0 < positive.sum() < len(positive):
            continue
        slope, offset = logistic_fit(scores, positive)
        wrong = np.logaddexp(0, np.where(positive, -1, 1) * (slope * scores + offset))
        losses.append((wrong[positive].mean() + wrong[~positive].mean()) / 2)
    return float(np.mean(losses)) if losses else np.inf


def _judged(fitter: Fitter) -> float | None:
    if not isinstance(fitter, FrozenFitter):
        raise TypeError("Sizes are compared by heads on frozen features.")
    fitter.fit_statistics()
    logits = fitter.cross_fitted()
    loss = np.inf if logits is None else unseen_loss(logits, fitter.training.targets)
    return loss if np.isfinite(loss) else None  # JSON has no infinity


def _some(training: Labelled, most: int) -> Labelled:
    """About so many images, in whole groups, with the classes shared out as in all."""
    if len(training.samples) <= most:
        return training
    share = most / len(training.samples)
    drawn = draw(training.strata, {"judged": share, "left": 1 - share}, seed=0)
    return training.take(
        [index for index, group in enumerate(training.groups) if drawn[str(group)] == "judged"]
    )


def _of_size(
    candidates: Sequence[tuple[Plan, ExplainedClassifier]], size: int
) -> tuple[Plan, ExplainedClassifier]:
    return next(one for one in candidates if one[0].input.size == size)
