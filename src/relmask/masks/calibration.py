"""When an image is a defect and how far its mask reaches: thresholds from image-level labels alone."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from relmask.calibration.gates import logistic_fit, sigmoid, threshold_for_false_alarms
from relmask.masks.hysteresis import hysteresis
from relmask.record import Record

FloatArray = NDArray[np.floating]


class ClassThresholds(Record):
    """What decides about one class."""

    usual: float = Field(description="Logit that is usual in images without the class.")
    spread: float = Field(gt=0, description="How far above it the highest of them reach, in logits.")
    gate: float = Field(description="In logits; an image above it may get a mask of the class.")
    seed: float = Field(ge=0, description="In logits a pixel; where there is more relevance a mask begins.")
    extent: float = Field(gt=0, description="How far the mask reaches from its seed, see `extent_of`.")
    extent_of: Literal["peak", "absolute"] = Field(
        description="Is `extent` a share of the image's peak, or relevance in logits a pixel?"
    )
    large: bool = Field(
        default=False, description="Are its defects so large that relevance has to be completed?"
    )
    strange: float | None = Field(
        default=None,
        description="Novelty above which a large defect grows over what is beside it; None: it does not.",
    )
    slope: float = Field(description="Of the probability: sigmoid(slope * logit + offset).")
    offset: float
    min_area: int = Field(default=0, ge=0, description="Parts of fewer pixels are left out of the mask.")

    @property
    def beside(self) -> float:
        """Logit that is enough beside a window above the gate: even odds."""
        return min(self.gate, -self.offset / self.slope) if self.slope > 0 else self.gate

    def probability(self, logit: float) -> float:
        """Chance that the class is in an image, where both answers are as likely beforehand."""
        return sigmoid(self.slope * logit + self.offset)

    def reach(self, peak: float) -> float:
        """Relevance above which pixels belong to the mask, in an image with this peak."""
        return self.extent * peak if self.extent_of == "peak" else min(self.extent, peak)


class Calibration(Record):
    """Thresholds of all classes, and what they were chosen from."""

    classes: Mapping[str, ClassThresholds]
    false_alarms: float = Field(ge=0, lt=1, description="Share of clean images that may get a mask.")
    slope: float = Field(description="Of the probability of any defect, from the highest standardised logit.")
    offset: float
    saw_masks: bool = Field(description="Did a true mask help to choose a threshold?")
    by_hand: bool = Field(default=False, description="Did a person move a threshold after looking at masks?")
    negatives: int = Field(description="Clean images, or images without the class, that were used.")
    groups: int = Field(description="Groups that they belong to.")
    cross_fitted: bool = Field(
        description="Were training images used, each judged by a head that never saw it?"
    )

    def standardised(self, logits: FloatArray) -> FloatArray:
        """Logits (N, K), each on the scale of its class: 0 is usual without it, 1 is high."""
        thresholds = self.classes.values()
        usual = np.array([threshold.usual for threshold in thresholds])
        spread = np.array([threshold.spread for threshold in thresholds])
        standardised: FloatArray = (logits - usual) / spread
        return standardised

    def defect_probability(self, logits: FloatArray) -> FloatArray:
        """Chance (N,) of any defect, of logits (N, K)."""
        highest = self.standardised(logits).max(axis=1)
        return np.array([sigmoid(self.slope * value + self.offset) for value in highest])

    @property
    def gate_score(self) -> float | None:
        """Chance of a defect above which an image may get a mask; None where that differs by class."""
        gates = self.standardised(np.array([[threshold.gate for threshold in self.classes.values()]]))
        return float(self.defect_probability(gates)[0]) if np.allclose(gates, gates[0, 0]) else None

    @property
    def large(self) -> dict[int, float | None]:
        """Numbers of the classes of large defects, and the novelty above which each grows, if it does."""
        return {k: of.strange for k, of in enumerate(self.classes.values()) if of.large}

    def candidates(self, logits: FloatArray) -> NDArray[np.bool_]:
        """Which classes (N, K) may get a mask; an image without any is clean."""
        return logits > np.array([threshold.gate for threshold in self.classes.values()])

    def passing(self, logits: FloatArray, across: int) -> NDArray[np.bool_]:
        """Which windows (N, K) of one image may hold a mask of which class.

        Beside one above its gate less is enough, and so on from there: a defect goes on where its evidence is
        weaker. Without any above the gate none passes.

        Args:
            logits: (N, K) of the windows, row by row.
            across: how many lie side by side.
        """
        grids = logits.T.reshape(len(self.classes), -1, across)
        pairs = zip(grids, self.classes.values(), strict=True)
        return np.stack([hysteresis(grid, of.beside, of.gate).ravel() for grid, of in pairs], axis=1)


@dataclass(frozen=True)
class Scores:
    """Logits of images that the judging head never saw.

    Attributes:
        logits: (N, K).
        targets: (N, K), is the class in the image?
        groups: (N,) which object each image shows.
    """

    logits: FloatArray
    targets: NDArray[np.bool_]
    groups: Sequence[Hashable]


@dataclass(frozen=True)
class Gates:
    """Where each class begins to be possible.

    Attributes:
        usual: (K,) logit that is usual without the class.
        spread: (K,) how far above it the highest of them reach.
        limit: standardised logit above which an image is a candidate.
    """

    usual: FloatArray
    spread: FloatArray
    limit: float

    @property
    def logits(self) -> FloatArray:
        """(K,) gate of each class."""
        return self.usual + self.limit * self.spread


def choose_gates(scores: Scores, rate: float) -> Gates:
    """Gates that at most a share `rate` of the clean images passes, whatever the class.

    Logits of different classes have different scales, so each is measured by what the images without the
    class reach. Where no image is clean, each class has its own images without it, and its own share.
    """
    negatives = ~scores.targets
    clean: NDArray[np.bool_] = np.all(negatives, axis=1)
    count = scores.logits.shape[1]
    usual, spread = np.zeros(count), np.ones(count)
    for k in range(count):
        without = scores.logits[clean if clean.any() else negatives[:, k], k]
        if len(without):
            usual[k] = np.median(without)
            spread[k] = max(np.quantile(without, 0.95) - usual[k], 1e-3)
    standardised = (scores.logits - usual) / spread
    if clean.any():
        peaks = standardised[clean].max(axis=1)
        groups = [group for group, is_clean in zip(scores.groups, clean, strict=True) if is_clean]
        return Gates(usual, spread, threshold_for_false_alarms(peaks, rate, groups))
    limits = np.zeros(count)
    for k in range(count):
        chosen = negatives[:, k]
        groups = [group for group, is_in in zip(scores.groups, chosen, strict=True) if is_in]
        limits[k] = threshold_for_false_alarms(standardised[chosen, k], rate, groups) if chosen.any() else 0.0
    return Gates(usual + limits * spread, spread, 0.0)


def probabilities(scores: Scores, gates: Gates) -> tuple[list[tuple[float, float]], tuple[float, float]]:
    """Slope and offset of each class's probability; likewise of any defect, from the highest logit."""
    per_class = [
        logistic_fit(scores.logits[:, k], scores.targets[:, k]) for k in range(scores.logits.shape[1])
    ]
    highest = ((scores.logits - gates.usual) / gates.spread).max(axis=1)
    return per_class, logistic_fit(highest, np.any(scores.targets, axis=1))
