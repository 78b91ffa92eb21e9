"""The pictures of an evaluation that a person should see: the worst, and a fair sample of the rest."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from relmask.evaluation.metrics import ImageOutcome, f1_tolerant
from relmask.files import shortened, whole
from relmask.report import Album, Picture, Shot, limit, panel, strongest


@dataclass(frozen=True, slots=True)
class Case:
    """One picture with all that a person needs to judge it."""

    outcome: ImageOutcome
    shot: Shot

    @classmethod
    def of(
        cls,
        outcome: ImageOutcome,
        image: NDArray[np.float32],
        relevance: NDArray[np.float32] | None,
        mask: NDArray[np.uint8],
        truth: NDArray[np.uint8] | None,
    ) -> Self:
        """Make one from a picture (H, W, 3) in [0, 1] and its maps (H, W); `truth` may be unknown."""
        return cls(outcome, Shot.of(image, relevance, mask, truth))

    def picture(self, full: float) -> Picture:
        """Its place in a gallery; `full` is the relevance in full colour."""
        outcome = self.outcome
        truly = " and ".join(sorted(outcome.labels)) or "clean"
        right = outcome.called == bool(outcome.labels)
        tags: list[tuple[str, Literal["good", "bad", ""]]] = [
            (truly, ""),
            (f"called {strongest(outcome)}, {outcome.score:.2f}", "good" if right else "bad"),
        ]
        value = f1_tolerant(np.array(outcome.any_defect))
        if self.shot.truth is None:
            tags.append(("no true mask", ""))
        elif not np.isnan(value):
            tags.append((f"F1 at 2 px {float(value):.2f}", "good" if value >= 0.5 else "bad"))
        return Picture(outcome.name, self.shot.views(full), tags)


Cases = Album[Case]

WORST = "worst"
"""Folder of the worst cases, below OUT."""
LONGEST = 80
"""Bytes of a picture's name in the name of its file there."""


def badness(outcome: ImageOutcome) -> tuple[float, int]:
    """Higher is worse: 1 - tolerant F1, then the number of wrong pixels; a right empty mask is (0, 0)."""
    counts = outcome.any_defect
    wrong = counts.predicted + counts.true - 2 * counts.both
    value = f1_tolerant(np.array(counts))
    return (0.0 if np.isnan(value) else 1 - float(value), wrong)


def full_colour(cases: Cases) -> float:
    """Relevance to show in full colour in every picture of the cases."""
    return limit([case.shot for case in (*cases.worst, *cases.sample)])


def write_worst(cases: Cases, folder: Path) -> None:
    """Write the worst cases as PNG: picture | relevance | mask | true mask; `01-...` is the worst."""
    full = full_colour(cases)
    for rank, case in enumerate(cases.worst, start=1):
        name = case.outcome.name.replace("/", "_")
        with whole(folder / f"{rank:02d}-{shortened(name, LONGEST)}.png") as part:
            Image.fromarray(panel([*case.shot.views(full).values()])).save(part)
