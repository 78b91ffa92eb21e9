"""What decides about masks: the thresholds of a run, as they are saved."""

import math
from collections.abc import Mapping

import numpy as np
from pydantic import Field
from skimage.filters import apply_hysteresis_threshold

from relmask.arrays import DoubleArray, FloatingArray, Mask
from relmask.record import Record


class ClassThresholds(Record):
    """What decides about one class."""

    clean_median: float = Field(description="Median logit of the images without the class.")
    clean_spread: float = Field(gt=0, description="Their 95 % quantile less their median, in logits.")
    gate: float = Field(description="Logit above which an image may get a mask of the class.")
    level: float = Field(
        gt=0,
        description="Value of a map above which pixels belong to the mask: 1 is Otsu's threshold of support.",
    )
    floor: float = Field(
        default=0.0,
        ge=0,
        description="Relevance, in logits a pixel, that clean images have too: less of it says nothing.",
    )
    slope: float = Field(description="Slope of the probability, sigmoid(slope * logit + offset).")
    offset: float = Field(description="Offset of the probability.")
    min_area: int = Field(default=0, ge=0, description="Area in pixels below which components are dropped.")

    @property
    def beside(self) -> float:
        """Logit that is enough beside a window above the gate: even odds."""
        return min(self.gate, -self.offset / self.slope) if self.slope > 0 else self.gate

    def probability(self, logit: float) -> float:
        """Chance that the class is in an image, where both answers are as likely beforehand."""
        return sigmoid(self.slope * logit + self.offset)


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
    never_clean: bool = Field(
        default=False,
        description="Had the data no clean class? Each image shows a class then, and its strongest passes.",
    )
    cross_fitted: bool = Field(
        description="Were training images used, each judged by a head that never saw it?"
    )

    def standardised(self, logits: FloatingArray) -> FloatingArray:
        """Logits (N, K), each on the scale of its class: 0 and 1 are median and 95 % quantile without it."""
        thresholds = self.classes.values()
        median = np.array([threshold.clean_median for threshold in thresholds])
        spread = np.array([threshold.clean_spread for threshold in thresholds])
        standardised: FloatingArray = (logits - median) / spread
        return standardised

    def defect_probability(self, logits: FloatingArray) -> FloatingArray:
        """Chance (N,) of any defect, of logits (N, K)."""
        highest = self.standardised(logits).max(axis=1)
        return np.array([sigmoid(self.slope * value + self.offset) for value in highest])

    @property
    def gate_score(self) -> float | None:
        """Chance of a defect above which an image may get a mask; None where that differs by class."""
        gates = self.standardised(np.array([[threshold.gate for threshold in self.classes.values()]]))
        return float(self.defect_probability(gates)[0]) if np.allclose(gates, gates[0, 0]) else None

    @property
    def floors(self) -> dict[int, float]:
        """Floor of each class, by its number."""
        return {k: of.floor for k, of in enumerate(self.classes.values())}

    def with_gate(self, name: str, gate: float) -> "Calibration":
        """The same with another gate of a class."""
        changed = self.classes[name].model_copy(update={"gate": gate})
        return self.model_copy(update={"classes": {**self.classes, name: changed}})

    def candidates(self, logits: FloatingArray) -> Mask:
        """Which classes (N, K) may get a mask; an image without any is clean."""
        above: Mask = logits > self._gates(logits)
        return above

    def passing(self, logits: FloatingArray, across: int) -> Mask:
        """Which windows (N, K) of one image may hold a mask of which class.

        A window above the gate passes, and so does every window that even odds connect to such a one (Canny
        1986): a crack goes on where its evidence is weaker. Without any above the gate none passes, unless
        the run knows no clean images.

        Args:
            logits: (N, K) of the windows, row by row.
            across: how many lie side by side.
        """
        grids = logits.T.reshape(len(self.classes), -1, across)
        gates = self._gates(logits.max(axis=0, keepdims=True))[0]
        opened = zip(grids, self.classes.values(), gates, strict=True)
        return np.stack(
            [
                apply_hysteresis_threshold(grid, min(of.beside, gate), gate).ravel()
                for grid, of, gate in opened
            ],
            axis=1,
        )

    def _gates(self, logits: FloatingArray) -> DoubleArray:
        """Gate (N, K) of each class in images with these logits (N, K)."""
        gates = np.tile([threshold.gate for threshold in self.classes.values()], (len(logits), 1))
        if self.never_clean:
            strongest = np.arange(len(logits)), self.standardised(logits).argmax(axis=1)
            below = np.nextafter(logits[strongest].astype(np.float64), -np.inf)
            gates[strongest] = np.minimum(gates[strongest], below)
        return gates


def sigmoid(value: float) -> float:
    """1 / (1 + exp(-value)), without overflow."""
    return 0.5 * (1 + math.tanh(value / 2))
