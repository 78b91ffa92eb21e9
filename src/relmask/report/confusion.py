"""Pictures that were judged, against their labels: how scores lie, and what was taken for what."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from relmask.report.charts import bars
from relmask.report.html import Section, matrix

CLEAN = "clean"


class Judged(Protocol):
    """What is known of a picture, and what was said of it."""

    @property
    def labels(self) -> frozenset[str]:
        """Classes that are in it; none in a clean one."""

    @property
    def called(self) -> bool:
        """Was it said to be defective?"""

    @property
    def score(self) -> float:
        """Probability of any defect."""

    @property
    def scores(self) -> Mapping[str, float]:
        """Probability of each class."""


def histogram(pictures: Sequence[Judged], gate: float | None = None) -> str:
    """Scores of clean and of defective pictures, and the score that a defect must have, as an SVG element."""
    groups = {
        kind: [picture.score for picture in pictures if bool(picture.labels) == defective]
        for kind, defective in ((CLEAN, False), ("defective", True))
    }
    return bars(groups, x_label="score", marks={} if gate is None else {"gate": gate})


def confusion(pictures: Sequence[Judged], classes: Sequence[str]) -> Section:
    """What was taken for what. A picture with several labels counts in the row of each."""
    names = (*classes, CLEAN)
    counts = {row: dict.fromkeys(names, 0) for row in names}
    for picture in pictures:
        said = strongest(picture)
        for label in picture.labels or {CLEAN}:
            counts[label][said] += 1
    known = {row: cells for row, cells in counts.items() if any(cells.values())}
    several = any(len(picture.labels) > 1 for picture in pictures)
    note = "A picture with several labels counts in the row of each." if several else ""
    return matrix("What was taken for what", known, rows="the label", columns="what was said", note=note)


def strongest(picture: Judged) -> str:
    """The most probable class of a picture that was called defective, else clean."""
    if not picture.called:
        return CLEAN
    return max(picture.scores, key=picture.scores.__getitem__, default="defect")
