"""The job of `segment`: every picture of the inputs becomes a mask and a line of results.csv."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from relmask.data.reading import Intensity, batched, read_image
from relmask.errors import ImageError
from relmask.files import printable
from relmask.formats import find_formats
from relmask.formats.png import CLASSES
from relmask.inference.run import Run
from relmask.inference.segmenter import Segmentation, Segmenter
from relmask.jobs.exports import export, require_replaceable
from relmask.jobs.inputs import Item, find_items
from relmask.jobs.journal import Journal, Row
from relmask.jobs.report import REPORT, Page
from relmask.jobs.results import (
    EXPLAINED,
    MASKS,
    RELEVANCE,
    TABLE,
    Results,
    mask_of,
    remove,
)
from relmask.models import bundle
from relmask.out import Contents, prepared
from relmask.progress import Progress, silent

Image = NDArray[np.float32]

Batch = list[tuple[Item, Image | ImageError]]

JOURNAL = ".segment.jsonl"


CONTENTS = Contents(
    "masks",
    "segment.json",
    (
        f"{MASKS}/**/*.png",
        f"{MASKS}/{CLASSES}",
        f"{RELEVANCE}/**/*.tiff",
        f"{EXPLAINED}/**/*.png",
        TABLE,
        REPORT,
        JOURNAL,
    ),
)


@dataclass(frozen=True)
class Outcome:
    """Result of a segmentation job.

    Attributes:
        out: folder of the results.
        images: number of pictures.
        defect: number of pictures with a defect.
        clean: number of pictures without one.
        failed: file and reason, for each picture that has no mask.
        resumed: number of pictures that an earlier, stopped job had done.
        seconds: time that this job took.
    """

    out: Path
    images: int
    defect: int
    clean: int
    failed: tuple[tuple[str, str], ...]
    resumed: int
    seconds: float

    @property
    def complete(self) -> bool:
        """Did every picture get a mask?"""
        return not self.failed

    def __str__(self) -> str:
        lines = [
            f"{self.images} pictures: {self.defect} defect, {self.clean} clean, {len(self.failed)} failed"
        ]
        if self.resumed:
            lines.append(f"{self.resumed} were done before")
        lines.append(f"Results in {self.out}")
        return "\n".join(lines)


def segment_files(
    run: Run,
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    formats: Sequence[str] = ("png",),
    image_root: str = "",
    relevance: bool = False,
    false_alarms: float | None = None,
    explain_clean: bool = False,
    batch_size: int = 8,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Outcome:
    """Write a mask for every picture, and results.csv.

    OUT gets `masks/<path below INPUT>.png`, `results.csv`, `report.html`, `segment.json` and, if asked for,
    `relevance/<path below INPUT>.tiff` of the pictures that are explained: those that pass a gate. With
    `explain_clean` all are, and `explained/<path below INPUT>.png` shows one that passes none beside its
    relevance. Other formats get a folder each, which is written when all masks are there.
    The same OUT with the same settings goes on with what is missing; a picture that failed or has changed
    since is done again. results.csv is also written on Ctrl-C.

    Args:
        run: a trained run.
        inputs: folders, with all that is below them, globs, and single files.
        out: folder of the results.
        formats: names from `relmask.formats.FORMATS`; PNG files are always written.
        image_root: path or URL below which Label Studio finds the pictures.
        relevance: write the relevance maps too.
        false_alarms: share of clean images that may get a mask, in this job alone: gates are chosen anew from
            the scores that the run keeps, and recorded in segment.json. None: the run's own gates.
        explain_clean: explain the strongest class of a picture that passes no gate; its mask stays empty.
        batch_size: number of pictures that go through the network together.
        overwrite: delete the results of earlier jobs in OUT, whatever their settings, and start over.
        progress: called after every batch.

    Raises:
        UsageError: no such format, or a share out of range.
        RunError: the run has no thresholds, or keeps no scores to choose other gates from.
        DataError: an input does not exist, or there is no picture.
        OutError: OUT cannot be written, or holds results of other settings, or annotations that were changed.
    """
    others = [name for name in find_formats(formats) if name != "png"]
    begin = time.monotonic()
    out = Path(out)
    items = find_items(inputs, skip=[out / name for name in (MASKS, RELEVANCE, EXPLAINED, *others)])
    segmenter = run.segmenter_with(false_alarms=false_alarms, explain_clean=explain_clean)
    settings = {
        "inputs": [printable(os.path.abspath(given)) for given in inputs],  # noqa: PTH100 - follows no link
        "run": bundle.fingerprint(run.path),
        "formats": ["png", *others],
        "relevance": relevance,
        **({"image_root": image_root} if image_root else {}),
        **({"explain_clean": True} if explain_clean else {}),
    }
    metadata = run.metadata
    if false_alarms is not None:
        gates = {name: of.gate for name, of in segmenter.calibration.classes.items()}
        settings |= {"false_alarms": false_alarms, "gates": gates}
        metadata = metadata.model_copy(update={"calibration": segmenter.calibration})
    page = Page(out, run, metadata)
    full_scale = run.model.full_scale if explain_clean else 1.0
    with prepared(out, CONTENTS, settings, overwrite=overwrite):
        require_replaceable(out, others, settings, overwrite)
        results = Results(out, segmenter.classes, relevance, full_scale)
        rows, resumed = _segment_all(segmenter, items, out, results, page, batch_size, progress)
        undrawn: tuple[tuple[str, str], ...] = ()
        if others:
            undrawn = export(
                [results.annotation(row) for row in rows if row.mask],
                segmenter.classes,
                others,
                out,
                settings=settings,
                image_root=image_root,
                overwrite=overwrite,
                progress=progress,
            )
    return Outcome(
        out=out,
        images=len(rows),
        defect=sum(row.status == "defect" for row in rows),
        clean=sum(row.status == "clean" for row in rows),
        failed=(*((row.file, row.error) for row in rows if row.status == "failed"), *undrawn),
        resumed=resumed,
        seconds=time.monotonic() - begin,
    )


def _segment_all(
    segmenter: Segmenter,
    items: Sequence[Item],
    out: Path,
    results: Results,
    page: Page,
    batch_size: int,
    progress: Progress,
) -> tuple[list[Row], int]:
    """Masks, table and page of the pictures: the lines of the table, and how many were done before."""
    with Journal(out / JOURNAL) as journal:
        todo = _todo(items, journal, out)
        resumed = done = len(items) - len(todo)
        missing = set(todo)
        for item in items:
            if item not in missing and (before := journal.row(item.path)):
                page.add_done(item.path, before)
        try:
            progress("segment", done, len(items))
            for batch in _ahead(_batches(todo, segmenter.intensity, batch_size)):
                for item, image, outcome in _segmented(segmenter, batch):
                    row = results.write(item, image, outcome)
                    journal.add(item.path, row)
                    if row.mask and image is not None and not isinstance(outcome, ImageError):
                        page.add(row, image, outcome.relevance, outcome.mask)
                done += len(batch)
                progress("segment", done, len(items))
        except KeyboardInterrupt:
            results.write_table(_rows(items, journal))
            raise
        rows = _rows(items, journal)
        results.write_table(rows)
    if todo or not (out / REPORT).exists():
        page.write(rows, segmenter)
    return rows, resumed


def _todo(items: Sequence[Item], journal: Journal, out: Path) -> list[Item]:
    """Pictures without a mask of their name; one that is called otherwise by now loses its old mask."""
    masks = {mask_of(item) for item in items}
    todo = []
    for item in items:
        row = journal[item.path]
        if row and row.mask == mask_of(item) and (out / row.mask).exists():
            continue
        if row and row.mask and row.mask not in masks:
            remove(out, row.mask)
        todo.append(item)
    return todo


def _rows(items: Iterable[Item], journal: Journal) -> list[Row]:
    return [row for item in items if (row := journal.row(item.path))]


def _batches(items: Iterable[Item], intensity: Intensity, size: int) -> Iterator[Batch]:
    """Pictures that were read, or why one could not be."""

    def read(item: Item) -> tuple[Item, Image | ImageError]:
        try:
            return item, read_image(item.path, intensity)
        except ImageError as error:
            return item, error

    def pixels(found: tuple[Item, Image | ImageError]) -> int:
        _, image = found
        return 0 if isinstance(image, ImageError) else image[..., 0].size

    return batched(map(read, items), size, pixels)


def _ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches; the next one is made in the background while one is worked on."""
    with ThreadPoolExecutor(1, thread_name_prefix="reader") as reader:
        coming = reader.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield batch


def _segmented(
    segmenter: Segmenter, batch: Batch
) -> Iterator[tuple[Item, Image, Segmentation] | tuple[Item, None, ImageError]]:
    readable = [(item, image) for item, image in batch if not isinstance(image, ImageError)]
    yield from ((item, None, image) for item, image in batch if isinstance(image, ImageError))
    if readable:
        results = segmenter.segment_images([image for _, image in readable])
        for (item, image), result in zip(readable, results, strict=True):
            yield item, image, result
