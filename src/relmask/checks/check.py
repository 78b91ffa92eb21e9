"""Judge masks: do they depend on what the classifier learned, and does its score depend on them?"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from relmask.arrays import DoubleArray, FloatArray
from relmask.checks.deletion import deleted, score_falls
from relmask.checks.explanation import relevance_kept, through_random_weights, weights_used
from relmask.checks.randomisation import added_area, dependence, randomised
from relmask.checks.subjects import DrawnMasks, Judged, RunMasks, Subject
from relmask.checks.verdict import ENOUGH, Check, Finding, in_words
from relmask.data.index import Sample, read_index
from relmask.data.splits import SplitLine, placed, read_split
from relmask.errors import DataError, ImageError
from relmask.inference.run import Run
from relmask.progress import Progress, silent
from relmask.ranking import auroc

LABELLED = 16
"""Pictures of a class, and clean ones, whose scores are compared with their labels."""
SEPARATES = 0.7
"""Lowest AUROC of a score that has learned something."""
MASKED = 0.1
"""Share of the pictures with a defect that must get a mask of it: a few pass the gate of any head."""


@dataclass(frozen=True)
class Known:
    """A picture as the model sees it.

    Attributes:
        name: of the sample.
        labels: its classes; empty = clean.
        evidence: (K,), what relevance starts from.
        images: (K, S, S, 3), for each class the window with the most evidence of it.
    """

    name: str
    labels: frozenset[str]
    evidence: DoubleArray
    images: Sequence[FloatArray]


def check(
    run: Run,
    data: Path | str,
    *,
    draw: Callable[[FloatArray], NDArray[np.generic]] | None = None,
    pictures: int = ENOUGH,
    clean: str | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Check:
    """Judge whether the masks of a run are evidence of what its classifier learned; no true mask is read.

    Args:
        run: with thresholds, as `relmask.load` or `relmask.train` gives it.
        data: DATA with image-level labels. Pictures of the run's test split are not looked at.
        draw: judge these masks instead of the run's: picture (S, S, 3) in [0, 1], of the side that the model
            sees, to mask (S, S).
        pictures: number of masks to judge, spread over the classes.
        clean: name of the clean class; None: what the run calls it.
        seed: random seed of redrawn weights and moved masks.
        progress: called after every picture.

    Returns:
        A verdict, and the findings behind it.

    Raises:
        RunError: the run has no thresholds, or no split.csv.
        DataError: the data cannot be used, or none of the pictures can be read.
    """
    index = read_index(Path(data), clean, run.metadata.clean)
    samples = chosen(index.samples, read_split(run.path / "split.csv"))
    return check_samples(run, samples, draw=draw, pictures=pictures, seed=seed, progress=progress)


def check_samples(
    run: Run,
    samples: Sequence[Sample],
    *,
    draw: Callable[[FloatArray], NDArray[np.generic]] | None = None,
    pictures: int = ENOUGH,
    stages: int = 4,
    seed: int = 0,
    progress: Progress = silent,
) -> Check:
    """Judge the masks of a run by its own classifier; no true mask is read.

    What is judged is what `segment` delivers: masks that are cut from support. Adebayo et al., "Sanity checks
    for saliency maps" (NeurIPS 2018): without what the head, or all layers, learned, the mask must differ.
    Sixt et al., "When explanations lie" (ICML 2020): it must depend on the weights that relevance passes on
    its way back. What is added to relevance must not be added to that of a random head, too. And
    inpainting a mask must lower the score more than inpainting copies of it that were moved elsewhere.

    Args:
        run: with thresholds. A student explains nothing, so tests of its relevance are not made.
        samples: labelled pictures, see `chosen`; the first of each class are looked at.
        draw: judge these masks instead of the run's: picture (S, S, 3) in [0, 1], of the side that the model
            sees, to mask (S, S).
        pictures: how many masks to judge, spread over the classes.
        stages: how often to redraw layers: the head, ever more of the rest, at last all; at least 2.
        seed: of what is drawn.
        progress: called after every picture.

    Raises:
        RunError: the run has no thresholds.
        DataError: none of the pictures can be read.
    """
    begun = time.monotonic()
    classes = run.segmenter.classes
    subject: Subject = DrawnMasks(draw) if draw else RunMasks(run)
    known = _look(run, samples, progress)
    judged, tried = _masked(subject, known, classes, pictures)
    cascade, areas = randomised(subject, judged, stages, seed, progress)
    ways = [(one, subject.way_back(one.image, one.k, seed + i)) for i, one in enumerate(judged)]
    weights = tuple(through_random_weights(one, way) for one, way in ways if way is not None)
    conserved = tuple(way.conserved for _, way in ways if way is not None and math.isfinite(way.conserved))
    deletion = tuple(deleted(run.model, one, seed + i) for i, one in enumerate(judged))
    findings = (
        _labels(known, classes),
        _masks(len(judged), tried),
        *dependence(cascade),
        added_area(areas),
        weights_used(weights),
        score_falls(deletion),
        relevance_kept(conserved),
    )
    passed, verdict = in_words(findings, len(judged))
    return Check(
        passed=passed,
        verdict=verdict,
        findings=findings,
        cascade=cascade,
        areas=areas,
        weights=weights,
        deletion=deletion,
        conserved=conserved,
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
        evidence, best = run.model.evidence(images).double().max(dim=0)
        windows = [_array(images[number]) for number in best.tolist()]
        known.append(Known(sample.name, frozenset(sample.labels), evidence.numpy(), windows))
    if not known:
        raise DataError("None of the pictures outside the test split can be read, so nothing can be checked.")
    return known


def _array(image: torch.Tensor) -> FloatArray:
    # a view would keep all windows of the picture
    array: FloatArray = image.numpy().transpose(1, 2, 0).copy()
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
                drawn = subject.drawn(one.images[k], k)
                tried += 1
                if drawn.mask.any():
                    judged.append(Judged(one.name, k, classes[k], one.images[k], drawn))
    return judged, tried


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
