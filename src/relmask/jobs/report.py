"""The report of `segment`: how many, how sure, and the pictures that a person should look at."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from statistics import median
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from relmask.data.reading import read_image
from relmask.errors import ImageError
from relmask.inference.run import Run
from relmask.inference.segmenter import Segmenter
from relmask.jobs.journal import Row
from relmask.jobs.results import MASKS
from relmask.masks.thresholds import Calibration
from relmask.models.bundle import Metadata
from relmask.report import (
    Album,
    Picture,
    Section,
    Shot,
    bars,
    cards,
    charts,
    gallery,
    how_to_read,
    limit,
    table,
    text,
    write_report,
)
from relmask.training.report import check_verdict, run_facts, threshold_table

REPORT = "report.html"
MOST = 20
"""Number of failed pictures that the page names; all are in the table."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture that may be shown."""

    row: Row
    shot: Shot

    @classmethod
    def of(
        cls,
        row: Row,
        image: NDArray[np.float32],
        relevance: NDArray[np.float32] | None,
        mask: NDArray[np.uint8],
    ) -> Self:
        """Make one from a picture (H, W, 3) in [0, 1] and its maps (H, W)."""
        return cls(row, Shot.of(image, relevance, mask))

    def picture(self, full: float) -> Picture:
        """Its place in a gallery; `full` is the relevance in full colour."""
        kind: Literal["bad", "good"] = "bad" if self.row.status == "defect" else "good"
        said = self.row.label.replace("|", " and ") or "clean"
        tags: list[tuple[str, Literal["good", "bad", ""]]] = [(f"{said}, {self.row.score or 0:.2f}", kind)]
        if self.row.area:
            parts = "1 part" if self.row.components == 1 else f"{self.row.components} parts"
            tags.append((f"{self.row.area} px in {parts}", ""))
        if self.row.explained:
            tags.append((f"below the gate, relevance of {self.row.explained}", ""))
        name = PurePosixPath(self.row.mask).relative_to(MASKS).with_suffix("").as_posix()
        return Picture(name, self.shot.views(full), tags)


@dataclass(frozen=True, slots=True)
class Done:
    """A picture that an earlier job did, of which only the line of the table is known."""

    path: Path
    row: Row


class Page:
    """Takes every picture of a job, and writes report.html at its end; memory does not grow with them.

    Args:
        out: folder of the results.
        run: what segments.
        metadata: description of the run, with the thresholds of the job.
    """

    def __init__(self, out: Path, run: Run, metadata: Metadata) -> None:
        self._out = out
        self._run = run.path
        self._own = run.metadata.calibration
        self._metadata = metadata
        self._album: Album[Seen | Done] = Album()
        gate = metadata.calibration.gate_score if metadata.calibration else None
        self._gate = 0.5 if gate is None else gate

    def add(
        self,
        row: Row,
        image: NDArray[np.float32],
        relevance: NDArray[np.float32] | None,
        mask: NDArray[np.uint8],
    ) -> None:
        """Take a picture (H, W, 3) in [0, 1] that was segmented."""
        self._add(row, lambda: Seen.of(row, image, relevance, mask))

    def add_done(self, path: Path, row: Row) -> None:
        """Take a picture that an earlier job did; if the page shows it, it is segmented again."""
        self._add(row, lambda: Done(path, row))

    def write(self, rows: Sequence[Row], segmenter: Segmenter) -> None:
        """Write the page about these lines of the table.

        Raises:
            OutError: it cannot be written.
        """
        classes = segmenter.classes
        worst, sample = ([*_seen(kept, segmenter)] for kept in (self._album.worst, self._album.sample))
        full = limit([seen.shot for seen in (*worst, *sample)])
        sections = [*_failed(rows), _summary(rows), _classes(rows, classes)]
        if any(row.score is not None for row in rows):
            sections.append(_scores(rows, self._gate))
        if worst:
            sections.append(how_to_read(classes, full))
            note = "Scores nearest to the gate first. All pictures are in results.csv."
            sections.append(gallery("The most doubtful", [seen.picture(full) for seen in worst], note=note))
        if sample:
            sections.append(gallery("A random sample of the others", [seen.picture(full) for seen in sample]))
        sections += check_verdict(self._run)
        if calibration := self._metadata.calibration:
            if self._own and self._own is not calibration:
                sections.append(_gates_of_the_job(calibration, self._own))
            sections.append(threshold_table(calibration))
        sections.append(run_facts(self._metadata))
        about = f"relmask segment: {len(rows)} pictures by {self._run}"
        write_report(self._out / REPORT, f"Masks by {self._run.name}", sections, about=about)

    def _add(self, row: Row, make: Callable[[], Seen | Done]) -> None:
        self._album.add(row.file, (-abs((row.score or 0.0) - self._gate),), make)


def _seen(kept: Iterable[Seen | Done], segmenter: Segmenter) -> Iterator[Seen]:
    """The pictures, segmented again where that is needed, but for those that cannot be read any more."""
    for one in kept:
        if isinstance(one, Seen):
            yield one
            continue
        with suppress(ImageError):
            image = read_image(one.path, segmenter.intensity)
            (found,) = segmenter.segment_images([image])
            yield Seen.of(one.row, image, found.relevance, found.mask)


def _failed(rows: Sequence[Row]) -> list[Section]:
    failed = [f"{row.file}: {row.error}" for row in rows if row.status == "failed"]
    if not failed:
        return []
    more = [f"... and {len(failed) - MOST} more, see results.csv"] if len(failed) > MOST else []
    return [text(f"{len(failed)} pictures have no mask", *failed[:MOST], *more, warning=True)]


def _summary(rows: Sequence[Row]) -> Section:
    by = Counter(row.status for row in rows)
    return cards(
        f"{len(rows)} pictures",
        {
            "With a defect": (by["defect"], _share(by["defect"], len(rows))),
            "Clean": (by["clean"], _share(by["clean"], len(rows))),
            "Failed": (by["failed"], _share(by["failed"], len(rows))),
        },
    )


def _classes(rows: Sequence[Row], classes: Sequence[str]) -> Section:
    lines = []
    for name in classes:
        areas = [row.area for row in rows if row.area and name in row.label.split("|")]
        lines.append((name, len(areas), median(areas) if areas else None, max(areas, default=None)))
    columns = ("class", "pictures", "median area (px)", "largest area (px)")
    return table("What was found", columns, lines, note="Areas are those of the whole mask of a picture.")


def _scores(rows: Sequence[Row], gate: float) -> Section:
    scores = {
        said: [row.score for row in rows if row.status == status and row.score is not None]
        for status, said in (("clean", "called clean"), ("defect", "called defective"))
    }
    drawing = bars(scores, x_label="score", marks={"gate": gate})
    return charts("Scores", {"Probability of a defect": drawing})


def _gates_of_the_job(calibration: Calibration, own: Calibration) -> Section:
    said = f"Gates for a false-alarm rate of {calibration.false_alarms:.1%} were chosen for this job alone"
    return text("Other gates than the run's", f"{said}; the run's own are for {own.false_alarms:.1%}.")


def _share(count: int, total: int) -> str:
    return f"{count / total:.1%}" if total else ""
