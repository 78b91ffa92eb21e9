"""The content of `metrics.json`, and the sums over images that it is made of.

A figure that is undefined (no defect in the split, nothing predicted, no clean image) is None, never 0 or 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage

from relmask.evaluation.ranking import Ranking, disk
from relmask.ranking import auroc
from relmask.record import Record

FloatArray = NDArray[np.floating]
IntArray = NDArray[np.int64]
MaskArray = NDArray[np.bool_]
LabelArray = NDArray[np.integer]

TOLERANCE = 2.0
_DISK = disk(TOLERANCE)

Share = Annotated[float, Field(ge=0, le=1)]
Interval = tuple[float, float] | None


class PixelScores(Record):
    """One class, or any defect, against the rest, pooled over all images of the split."""

    iou: Share | None
    f1: Share | None
    precision: Share | None
    recall: Share | None
    f1_tol2: Share | None = Field(description="A pixel counts as met within a Euclidean 2 px, both ways.")
    ap: Share | None = Field(description="Average precision of the relevance.")
    aupro: Share | None = Field(description="Per-region overlap up to 5 % false positives.")


class CleanScores(Record):
    """Figures of images without a defect."""

    images: int
    empty_share: Share | None = Field(description="Share of clean images whose mask is empty.")


class ImageScores(Record):
    """Figures of whole images."""

    auroc: Share | None = Field(description="Defective against clean, by the score.")
    accuracy: Share | None = Field(description="Called defect or clean as it is.")
    recall_at_gate: Share | None = Field(
        default=None, description="Share of the defective images that a class passes its gate in."
    )
    peak_on_defect: Share | None = Field(
        default=None,
        description="Share of the classes in defective images whose highest relevance lies on a true pixel "
        "of the class, whether or not the class passes its gate (the pointing game, Zhang et al. 2018).",
    )
    per_class: dict[str, Share | None] = Field(
        default={}, description="AUROC of each class against the rest."
    )


class ThresholdScores(Record):
    """The thresholds that made the masks, and what the run was made from."""

    level: dict[str, float]
    saw_masks: bool = Field(description="Did a true mask help, in training or to choose a threshold?")


class Intervals(Record):
    """95 % intervals by a bootstrap over groups."""

    iou: Interval
    f1: Interval
    f1_tol2: Interval
    mean_iou: Interval
    auroc: Interval
    empty_share: Interval
    recall_at_gate: Interval = None
    peak_on_defect: Interval = None
    per_class: dict[str, Interval] = Field(description="IoU of each class.")


class Metrics(Record):
    """The content of `metrics.json`."""

    split: str
    grouped: bool = Field(
        description="False: the same part may be in training too, every figure is too good."
    )
    groups: int
    images: int
    pixel: PixelScores
    per_class: dict[str, PixelScores]
    mean_iou: Share | None = Field(description="Mean over the classes whose IoU is defined.")
    clean: CleanScores
    image: ImageScores
    threshold: ThresholdScores
    ci95: Intervals
    seconds_per_image: float = Field(ge=0)


class Overlap(NamedTuple):
    """Pixels of one region kind in one image, or summed over many: all that IoU, F1 and the like need."""

    both: int  # predicted and true
    predicted: int
    true: int
    near: int  # predicted within the tolerance of a true pixel
    met: int  # true within the tolerance of a predicted pixel


@dataclass(frozen=True, slots=True)
class ImageOutcome:
    """One image's part of every figure."""

    name: str
    group: str
    labels: frozenset[str]
    called: bool  # said to be defective
    score: float  # probability of any defect
    scores: Mapping[str, float]
    passed: bool  # does a class pass its gate?
    peaks: Mapping[str, bool]  # does the highest relevance of each true class lie on it?
    masked: bool  # is it known where its defects are?
    overlaps: IntArray  # (1 + classes, 5): any defect, then each class; columns as in Overlap

    @property
    def any_defect(self) -> Overlap:
        """Overlap of any defect."""
        return Overlap(*self.overlaps[0].tolist())


def overlap(predicted: MaskArray, true: MaskArray) -> Overlap:
    """Count the pixels of one image: `predicted` (H, W) against `true` (H, W)."""
    both, said, real = int((predicted & true).sum()), int(predicted.sum()), int(true.sum())
    if not said or not real:
        return Overlap(both, said, real, 0, 0)
    near = int((predicted & ndimage.binary_dilation(true, _DISK)).sum())
    met = int((true & ndimage.binary_dilation(predicted, _DISK)).sum())
    return Overlap(both, said, real, near, met)


def overlaps(mask: LabelArray, truth: LabelArray, classes: int) -> IntArray:
    """Counts (1 + classes, 5) of one image; `mask` and `truth` (H, W) hold 0 or the class, 1-based."""
    rows = [overlap(mask > 0, truth > 0)]
    rows += [overlap(mask == k, truth == k) for k in range(1, classes + 1)]
    return np.array(rows, np.int64)


class Tally:
    """Takes images one by one, keeps a few numbers of each, and gives every figure at the end."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self.outcomes: list[ImageOutcome] = []
        self.ranking = Ranking()
        self.class_rankings = {name: Ranking() for name in self.classes}

    def add(
        self,
        *,
        name: str,
        group: str,
        labels: frozenset[str],
        mask: LabelArray,
        truth: LabelArray | None,
        relevance: FloatArray | None,
        called: bool,
        score: float,
        scores: Mapping[str, float],
        maps: Mapping[str, FloatArray],
        peaks: Mapping[str, bool],
    ) -> ImageOutcome:
        """Count one image.

        Args:
            name: name of the image.
            group: group of the image; the bootstrap draws groups.
            labels: true classes of the image; empty = clean.
            mask: (H, W), predicted: 0 or the class, 1-based in the order of `classes`.
            truth: (H, W), true; None if a defective image has no true mask: then it counts in the figures of
                images, not in those of pixels.
            relevance: (H, W) of the strongest class, None where no class passes its gate.
            called: was the image called defective?
            score: probability of any defect.
            scores: probability of each class.
            maps: relevance (H, W) of every class that was explained.
            peaks: does the highest relevance of a true class lie on it? For each class where that is known.
        """
        counts = np.zeros((1 + len(self.classes), 5), np.int64)
        if truth is not None:
            if mask.shape != truth.shape:
                raise ValueError(f"{name}: the mask is {mask.shape}, the truth {truth.shape}")
            counts = overlaps(mask, truth, len(self.classes))
            self.ranking.add(relevance, truth > 0)
            for k, (label, ranking) in enumerate(self.class_rankings.items(), start=1):
                ranking.add(maps.get(label), truth == k)
        outcome = ImageOutcome(
            name=name,
            group=group,
            labels=labels,
            called=called,
            score=score,
            scores=dict(scores),
            passed=relevance is not None,
            peaks=dict(peaks),
            masked=truth is not None,
            overlaps=counts,
        )
        self.outcomes.append(outcome)
        return outcome

    def counts(self) -> IntArray:
        """Counts (images, 1 + classes, 5)."""
        shape = (len(self.outcomes), 1 + len(self.classes), 5)
        return np.array([outcome.overlaps for outcome in self.outcomes], np.int64).reshape(shape)

    def pixel(self) -> PixelScores:
        """Any defect against background."""
        return pixel_scores(self.counts().sum(0)[0], self.ranking)

    def per_class(self) -> dict[str, PixelScores]:
        """Each class against the rest."""
        sums = self.counts().sum(0)[1:]
        return {
            name: pixel_scores(row, self.class_rankings[name])
            for name, row in zip(self.classes, sums, strict=True)
        }

    def clean(self) -> CleanScores:
        """Figures of the images without a label."""
        empty = [not outcome.any_defect.predicted for outcome in self.outcomes if not outcome.labels]
        return CleanScores(images=len(empty), empty_share=float(np.mean(empty)) if empty else None)

    def image(self) -> ImageScores:
        """Figures of whole images."""
        defective = np.array([bool(outcome.labels) for outcome in self.outcomes])
        right = [outcome.called == bool(outcome.labels) for outcome in self.outcomes]
        passed = [outcome.passed for outcome in self.outcomes if outcome.labels]
        peaks = [hit for outcome in self.outcomes for hit in outcome.peaks.values()]
        return ImageScores(
            auroc=auroc(np.array([outcome.score for outcome in self.outcomes]), defective),
            accuracy=float(np.mean(right)) if right else None,
            recall_at_gate=float(np.mean(passed)) if passed else None,
            peak_on_defect=float(np.mean(peaks)) if peaks else None,
            per_class={
                name: auroc(
                    np.array([outcome.scores[name] for outcome in self.outcomes]),
                    np.array([name in outcome.labels for outcome in self.outcomes]),
                )
                for name in self.classes
                if all(name in outcome.scores for outcome in self.outcomes)
            },
        )


def pixel_scores(counts: IntArray, ranking: Ranking) -> PixelScores:
    """Scores of summed counts (5,) as in Overlap."""
    both, predicted, true, _, _ = counts.astype(float)
    return PixelScores(
        iou=_some(iou(counts)),
        f1=_some(f1(counts)),
        precision=both / predicted if predicted else None,
        recall=both / true if true else None,
        f1_tol2=_some(f1_tolerant(counts)),
        ap=ranking.average_precision(),
        aupro=ranking.aupro(),
    )


def iou(counts: NDArray[np.number]) -> FloatArray:
    """Intersection over union of counts (..., 5); NaN where both are empty."""
    both, predicted, true = counts[..., 0], counts[..., 1], counts[..., 2]
    return _ratio(both, predicted + true - both)


def f1(counts: NDArray[np.number]) -> FloatArray:
    """Harmonic mean of precision and recall of counts (..., 5); NaN where both are empty."""
    return _ratio(2 * counts[..., 0], counts[..., 1] + counts[..., 2])


def f1_tolerant(counts: NDArray[np.number]) -> FloatArray:
    """F1 of counts (..., 5) in which a pixel near the other kind counts as met; NaN where both are empty."""
    _, predicted, true, near, met = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    # 2PR / (P + R) with P = near / predicted and R = met / true, over a common denominator.
    value = _ratio(2 * near * met, near * true + met * predicted)
    return np.where((near == 0) & (predicted + true > 0), 0.0, value)


def mean_defined(values: FloatArray) -> FloatArray:
    """Mean over the last axis of what is not NaN; NaN where nothing is."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0).sum(-1), known.sum(-1))


def _ratio(above: NDArray[np.number], below: NDArray[np.number]) -> FloatArray:
    below = np.asarray(below, np.float64)
    ratio: FloatArray = np.divide(above, below, out=np.full(below.shape, np.nan), where=below > 0)
    return ratio


def _some(value: FloatArray) -> float | None:
    return None if np.isnan(value) else float(value)
