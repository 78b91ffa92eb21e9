"""The images that a person should see: the worst, and a fair sample of all."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappush, heappushpop
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from relmask.evaluation.metrics import FloatArray, ImageOutcome, f1_tolerant
from relmask.files import whole
from relmask.report import Picture, class_colours, fitted, overlay, painted, panel

LONGEST = 320  # pixels of a picture in the report


@dataclass(frozen=True, slots=True)
class Case:
    """One image with all that a person needs to judge it."""

    outcome: ImageOutcome
    image: NDArray[np.float32]  # (H, W, 3) in [0, 1]
    relevance: FloatArray | None  # (H, W)
    mask: NDArray[np.uint8]
    truth: NDArray[np.uint8] | None  # None where nobody drew it

    @property
    def badness(self) -> tuple[float, int]:
        """Higher is worse: 1 - tolerant F1, then the number of wrong pixels; a right empty mask is (0, 0)."""
        counts = self.outcome.any_defect
        wrong = counts.predicted + counts.true - 2 * counts.both
        value = f1_tolerant(np.array(counts))
        return (0.0 if np.isnan(value) else 1 - float(value), wrong)


@dataclass
class Cases:
    """Takes every case, keeps a few: memory stays flat."""

    worst_count: int = 12
    sample_count: int = 12
    seed: int = 0
    _sample: list[Case] = field(default_factory=list)
    _worst: list[tuple[tuple[float, int], int, Case]] = field(default_factory=list)
    _seen: int = 0

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)

    def add(self, case: Case) -> None:
        """Keep the case if it is among the worst, or drawn for the sample."""
        entry = (case.badness, -self._seen, case)
        if len(self._worst) < self.worst_count:
            heappush(self._worst, entry)
        elif self._worst and entry[:2] > self._worst[0][:2]:
            heappushpop(self._worst, entry)
        self._seen += 1
        if len(self._sample) < self.sample_count:
            self._sample.append(case)
        elif (place := int(self._rng.integers(self._seen))) < self.sample_count:
            self._sample[place] = case

    @property
    def worst(self) -> list[Case]:
        """Worst first; cases without a fault are left out."""
        ordered = sorted(self._worst, key=lambda entry: entry[:2], reverse=True)
        return [case for badness, _, case in ordered if badness > (0.0, 0)]

    @property
    def sample(self) -> list[Case]:
        """Drawn from all images alike, worst first."""
        return sorted(self._sample, key=lambda case: case.badness, reverse=True)

    def limit(self) -> float:
        """Relevance to show in full colour, one for all: what 0.5 % of the kept cases' pixels exceed."""
        maps = [case.relevance for case in (*self.worst, *self.sample) if case.relevance is not None]
        if not maps:
            return 1.0
        return max(1e-12, float(np.quantile(np.abs(np.concatenate([m.ravel() for m in maps])), 0.995)))


def picture(case: Case, classes: Sequence[str], limit: float) -> Picture:
    """A line of the report's gallery: image, relevance, mask and truth."""
    outcome = case.outcome
    told = "defect" if outcome.called else "clean"
    really = " and ".join(sorted(outcome.labels)) or "clean"
    strongest = max(outcome.scores, key=outcome.scores.__getitem__, default=None)
    by = f", most of all {strongest}" if outcome.called and strongest and len(classes) > 1 else ""
    value = f1_tolerant(np.array(outcome.any_defect))
    f1 = "" if np.isnan(value) else f", F1 at 2 px {float(value):.2f}"
    if case.truth is None:
        f1 = ", no true mask"
    caption = f"{outcome.name}: {really}; called {told} ({outcome.score:.2f}{by}){f1}"
    return Picture(
        caption, dict(zip(("image", "relevance", "mask", "truth"), views(case, limit), strict=True))
    )


def views(case: Case, limit: float) -> list[NDArray[np.uint8]]:
    """Image, relevance, mask and truth as pictures of at most LONGEST pixels."""
    image = np.round(case.image * 255).clip(0, 255).astype(np.uint8)
    shown = (
        image,
        overlay(case.image, case.relevance, limit),
        painted(case.image, case.mask),
        painted(case.image, np.zeros_like(case.mask) if case.truth is None else case.truth),
    )
    return [fitted(one, LONGEST) for one in shown]


def colours(classes: Sequence[str]) -> dict[str, list[int]]:
    """Class to the colour that its masks have in the pictures."""
    return dict(zip(classes, class_colours(len(classes))[1:].tolist(), strict=True))


def write_worst(cases: Cases, folder: Path) -> None:
    """Write the worst cases as PNG: image | relevance | mask | truth; `01-...` is the worst."""
    limit = cases.limit()
    for rank, case in enumerate(cases.worst, start=1):
        name = case.outcome.name.replace("/", "_")
        with whole(folder / f"{rank:02d}-{name[-80:]}.png") as part:
            Image.fromarray(panel(views(case, limit))).save(part)
