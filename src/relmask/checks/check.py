"""Judge masks: do they depend on what the classifier learned, and does its score depend on them?"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from relmask.checks.subjects import DrawnMasks, Image, Map, Mask, RunMasks, Subject
from relmask.checks.verdict import Check, Deletion, Finding, Step, in_words
from relmask.data.index import Sample
from relmask.data.splits import SplitLine, placed
from relmask.errors import DataError, ImageError
from relmask.inference.model import Model
from relmask.inference.run import Run
from relmask.masks.inpainting import inpaint, moved_copies
from relmask.models.guided import GuidedClassifier
from relmask.progress import Progress, silent
from relmask.ranking import auroc

LABELLED = 16
"""Pictures of a class, and clean ones, whose scores are compared with their labels."""
COPIES = 8
"""Moved copies that a mask has to beat."""
SEPARATES = 0.7
"""Lowest AUROC of a score that has learned something."""
DEPENDS = 0.7
"""Highest IoU of a mask with the one of a model that forgot. Trained runs had 0.05 to 0.5, edges have 1."""
USES_WEIGHTS = 0.9
"""Highest IoU with a mask explained through random weights. Trained runs had up to 0.6, flat rules have 1."""
MASKED = 0.1
"""Share of the pictures with a defect that must get a mask of it: a few pass the gate of any head."""
BEATEN = 0.7
"""Share of the pictures in which painting over the mask must beat its copies."""


@dataclass(frozen=True)
class Known:
    """A picture as the model sees it.

    Attributes:
        name: of the sample.
        labels: its classes; empty = clean.
        evidence: (K,), what relevance starts from.
        images: (K, S, S, 3), for each class the window with its highest logit.
    """

    name: str
    labels: frozenset[str]
    evidence: NDArray[np.float64]
    images: Sequence[Image]


@dataclass(frozen=True)
class Judged:
    """A mask that is judged, of class `k` in an image (S, S, 3)."""

    name: str
    k: int
    image: Image
    mask: Mask


def check(
    run: Run,
    samples: Sequence[Sample],
    *,
    draw: Callable[[Image], NDArray[np.generic]] | None = None,
    pictures: int = 8,
    stages: int = 4,
    seed: int = 0,
    progress: Progress = silent,
) -> Check:
    """Judge the masks of a run by its own classifier; no true mask is read.

    Adebayo et al., "Sanity checks for saliency maps" (NeurIPS 2018): without what the head, or all layers,
    learned, the mask must be another. Sixt et al., "When explanations lie" (ICML 2020): it must depend on the
    weights that relevance passes on its way back. And painting over a mask must lower the score more than
    painting over copies of it that were moved elsewhere.

    Args:
        run: with thresholds.
        samples: labelled pictures, see `chosen`; the first of each class are looked at.
        draw: judge these masks instead of the run's: picture (S, S, 3) in [0, 1], of the side that the model
            sees, to mask (S, S).
        pictures: how many masks to judge, spread over the classes.
        stages: how often to redraw layers: the head, ever more of the rest, at last all; at least 2.
        seed: of what is drawn.
        progress: called after every picture.

    Raises:
        RunError: the run has no thresholds.
        UsageError: the run is a segmenter, whose masks no explanation made.
        DataError: none of the pictures can be read.
    """
    begun = time.monotonic()
    classes = run.segmenter.classes
    subject: Subject = DrawnMasks(draw) if draw else RunMasks(run)
    known = _look(run, samples, progress)
    judged, tried = _masked(subject, known, classes, pictures)
    cascade = _cascade(subject, run.model, judged, stages, progress)
    deletion = [_deletion(run.model, one, classes, seed + i) for i, one in enumerate(judged)]
    conserved = [subject.conserved(one.image, one.k) for one in judged]
    findings = (
        _labels(known, classes),
        _masks(len(judged), tried),
        *_randomised(cascade),
        _deleted(deletion),
        _conserved(conserved),
    )
    passed, verdict = in_words(findings)
    return Check(
        passed=passed,
        verdict=verdict,
        findings=findings,
        cascade=tuple(cascade),
        deletion=tuple(deletion),
        conserved=tuple(share for share in conserved if math.isfinite(share)),
        pictures=tuple(one.name for one in judged),
        labelled=len(known),
        seconds=round(time.monotonic() - begun, 1),
    )


def chosen(samples: Sequence[Sample], lines: dict[str, SplitLine]) -> tuple[Sample, ...]:
    """Pictures to judge a run by: validation first, then training, never test.

    Args:
        samples: of DATA.
        lines: the run's split.csv, see `placed`.
    """
    places = placed(samples, lines, "val")
    return tuple(
        sample
        for wanted in ("val", "train")
        for sample, place in zip(samples, places, strict=True)
        if place == wanted
    )


def likeness(one: Map, other: Map, pixels: int) -> tuple[float, float]:
    """How alike two maps (H, W) are: IoU of their `pixels` highest values, and rank correlation of all.

    A map of one value says nothing and is like no other: 0 and 0.
    """
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0, 0.0
    first, second = (np.argsort(-values.ravel(), kind="stable")[:pixels] for values in (one, other))
    both = np.intersect1d(first, second).size
    return both / (2 * pixels - both), float(stats.spearmanr(one.ravel(), other.ravel()).statistic)


def _look(run: Run, samples: Sequence[Sample], progress: Progress) -> list[Known]:
    """The first pictures of each class, and clean ones, with their scores."""
    counts = dict.fromkeys([*run.segmenter.classes, ""], 0)
    wanted = []
    for sample in samples:
        labels = [label for label in (sample.labels or {""}) if counts.get(label, LABELLED) < LABELLED]
        if labels:
            wanted.append(sample)
            counts.update({label: counts[label] + 1 for label in labels})
    known = []
    for number, sample in enumerate(wanted, start=1):
        try:
            picture = run.read(sample.path)
        except ImageError:
            continue
        finally:
            progress("checking scores", number, len(wanted))
        images, _ = run.model.cut(picture)
        logits = run.model.logits(images).double().numpy()
        windows = [_array(images[int(i)]) for i in logits.argmax(axis=0)]
        evidence = run.model.evidence(images).double().numpy().max(axis=0)
        known.append(Known(sample.name, frozenset(sample.labels), evidence, windows))
    if not known:
        raise DataError("None of the pictures outside the test split can be read, so nothing can be checked.")
    return known


def _array(image: torch.Tensor) -> Image:
    array: Image = image.numpy().transpose(1, 2, 0).copy()  # a view would keep all windows of the picture
    return array


def _masked(
    subject: Subject, known: Sequence[Known], classes: Sequence[str], pictures: int
) -> tuple[list[Judged], int]:
    """Masks of at most so many pictures, class by class in turn; and how many pictures were looked at."""
    queues = [[one for one in known if name in one.labels] for name in classes]
    judged: list[Judged] = []
    tried = 0
    while len(judged) < pictures and any(queues):
        for k, queue in enumerate(queues):
            if queue and len(judged) < pictures:
                one = queue.pop(0)
                mask = subject.mask(one.images[k], k)
                tried += 1
                if mask.any():
                    judged.append(Judged(one.name, k, one.images[k], mask))
    return judged, tried


def _cascade(
    subject: Subject, model: Model, judged: Sequence[Judged], count: int, progress: Progress
) -> list[Step]:
    if not judged:
        return []
    layers, head = _layers(model, subject)
    stages = sorted({round(value) for value in np.linspace(head, layers, count)})
    alike = np.zeros((len(judged), len(stages), 4))
    for number, one in enumerate(judged):
        whole, size = subject.map(one.image, one.k, 0, 0), int(one.mask.sum())
        for row, forgotten in enumerate(stages):
            for column, through in ((0, False), (2, True)):
                other = subject.map(one.image, one.k, forgotten, number, through=through)
                alike[number, row, column : column + 2] = likeness(whole, other, size)
        progress("randomising layers", number + 1, len(judged))
    return [
        Step(
            forgotten=forgotten,
            layers=layers,
            iou=iou,
            rank_correlation=rank,
            iou_through=iou_through,
            rank_correlation_through=rank_through,
        )
        for forgotten, (iou, rank, iou_through, rank_through) in zip(
            stages, alike.mean(axis=0).tolist(), strict=True
        )
    ]


def _layers(model: Model, subject: Subject) -> tuple[int, int]:
    """Layers of the model, and how many of them are its head."""
    kinds = (torch.nn.Conv2d, torch.nn.Linear)
    if isinstance(subject, RunMasks):
        names = subject.cascade.layers
        head = sum(name.startswith("head") for name in names)
        return len(names), head if isinstance(model.network, GuidedClassifier) else 1
    return sum(isinstance(module, kinds) for module in model.network.modules()), 1


def _deletion(model: Model, one: Judged, classes: Sequence[str], seed: int) -> Deletion:
    rng = np.random.default_rng(seed)
    copies = moved_copies(one.mask, COPIES, rng)
    painted = [inpaint(one.image, mask, rng) for mask in (one.mask, *copies)]
    images = torch.from_numpy(np.stack([one.image, *painted]).transpose(0, 3, 1, 2).copy())
    score, without, *others = model.logits(images)[:, one.k].tolist()
    return Deletion(
        picture=one.name,
        label=classes[one.k],
        score=score,
        without_mask=without,
        without_copies=tuple(others),
    )


def _labels(known: Sequence[Known], classes: Sequence[str]) -> Finding:
    """Does the evidence know the labels? Of a head that learned nothing no mask can be evidence.

    Not the logits: novelty has a part in them, and tells defective pictures from clean ones untaught.
    """
    areas = []
    for k, name in enumerate(classes):
        has = [one.evidence[k] for one in known if name in one.labels]
        clean = [one.evidence[k] for one in known if not one.labels]
        lacks = clean or [one.evidence[k] for one in known if name not in one.labels]
        area = auroc([*has, *lacks], [True] * len(has) + [False] * len(lacks))
        if area is not None and len(has) >= 3 and len(lacks) >= 3:
            areas.append(area)
    if not areas:
        return Finding(
            name="labels", passed=None, says="Too few pictures with and without defects to compare."
        )
    mean = float(np.mean(areas))
    return Finding(
        name="labels",
        passed=mean >= SEPARATES,
        figure=mean,
        limit=SEPARATES,
        says=f"The evidence parts pictures with a class from those without it with an AUROC of {mean:.2f} "
        f"(at least {SEPARATES}).",
    )


def _masks(found: int, tried: int) -> Finding:
    return Finding(
        name="masks",
        passed=found > 0 and found >= MASKED * tried,
        figure=found / tried if tried else 0.0,
        limit=MASKED,
        says=f"{found} of {tried} pictures with a defect got a mask of it (at least {MASKED:.0%}).",
    )


def _randomised(cascade: Sequence[Step]) -> tuple[Finding, Finding, Finding]:
    if not cascade:
        none = "There is no mask to judge."
        names = ("head", "layers", "weights")
        one, two, three = (Finding(name=name, passed=None, says=none) for name in names)
        return one, two, three
    first, last = cascade[0], cascade[-1]
    return (
        Finding(
            name="head",
            passed=first.iou <= DEPENDS,
            figure=first.iou,
            limit=DEPENDS,
            says=f"With a random head, masks overlap those of the run with an IoU of {first.iou:.2f} "
            f"(at most {DEPENDS}).",
        ),
        Finding(
            name="layers",
            passed=last.iou <= DEPENDS,
            figure=last.iou,
            limit=DEPENDS,
            says=f"With all layers random, the IoU is {last.iou:.2f} (at most {DEPENDS}).",
        ),
        Finding(
            name="weights",
            passed=last.iou_through <= USES_WEIGHTS,
            figure=last.iou_through,
            limit=USES_WEIGHTS,
            says=f"With random weights on the way back alone, the IoU is {last.iou_through:.2f} "
            f"(at most {USES_WEIGHTS}).",
        ),
    )


def _deleted(deletion: Sequence[Deletion]) -> Finding:
    if not deletion:
        return Finding(name="deletion", passed=None, says="There is no mask to paint over.")
    share = float(np.mean([one.beaten for one in deletion]))
    falls = [one.score - one.without_mask for one in deletion]
    others = [one.score - float(np.mean(one.without_copies)) for one in deletion]
    return Finding(
        name="deletion",
        passed=share >= BEATEN and float(np.mean(falls)) > float(np.mean(others)),
        figure=share,
        limit=BEATEN,
        says=f"Painting over the mask lowers the score by {np.mean(falls):.2f} logits, over copies of it "
        f"elsewhere by {np.mean(others):.2f}; the mask wins in {share:.0%} of {len(deletion)} pictures "
        f"(at least {BEATEN:.0%}).",
    )


def _conserved(shares: Sequence[float]) -> Finding:
    known = [share for share in shares if math.isfinite(share)]
    if not known:
        return Finding(name="conserved", passed=None, says="There is no relevance to follow.")
    middle = float(np.median(known))
    return Finding(
        name="conserved",
        passed=0 < middle <= 1.5,
        figure=middle,
        says=f"{middle:.1%} of the evidence arrives at the pixels (more than 0, at most 150 %); biases keep "
        "the rest.",
    )
