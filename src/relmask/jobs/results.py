"""Files that the job of `segment` leaves in OUT."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

import numpy as np

from relmask.arrays import FloatArray
from relmask.errors import ImageError, UnwritableName
from relmask.files import printable, write_csv, writing
from relmask.formats import Annotation, write_mask, write_relevance
from relmask.formats.png import segmented, write_classes
from relmask.inference.segmenter import Segmentation
from relmask.jobs.heatmaps import write_heatmap
from relmask.jobs.inputs import Item
from relmask.jobs.journal import Row
from relmask.report import class_colours

MASKS = "masks"
RELEVANCE = "relevance"
EXPLAINED = "explained"
TABLE = "results.csv"
COLUMNS = (
    "file",
    "status",
    "label",
    "score",
    "area",
    "components",
    "mask",
    "error",
    "image_novelty",
    "warning",
    "explained",
)


class Results:
    """Writes masks, relevance maps, heatmaps and the table of one job.

    Args:
        out: folder of the results.
        classes: of the run.
        relevance: write relevance maps, too.
        full_scale: value of a map that a heatmap draws in full colour.
    """

    def __init__(self, out: Path, classes: Sequence[str], relevance: bool, full_scale: float) -> None:
        self._out = out
        self._classes = classes
        self._relevance = relevance
        self._full_scale = full_scale
        self._colours = class_colours(len(classes))
        write_classes(out / MASKS, classes)

    def write(self, item: Item, image: FloatArray | None, result: Segmentation | ImageError) -> Row:
        """Write the files of one picture, in place of what it had, and give its line of the table.

        A picture whose files cannot have the names that they need fails alone.

        Raises:
            OutError: they cannot be written for another reason.
        """
        mask = mask_of(item)
        if isinstance(result, ImageError):
            return self._failed(item, reason_of(item, result))
        try:
            remove(self._out, mask)
            write_mask(self._out / mask, result.mask, self._colours)
            if self._relevance and result.relevance is not None:
                write_relevance(self._out / _relevance_of(mask), result.relevance)
            if result.explained and image is not None and result.relevance is not None:
                heatmap = self._out / _heatmap_of(mask)
                write_heatmap(heatmap, image, result.relevance, self._full_scale)
        except UnwritableName as error:
            return self._failed(item, reason_of(item, error))
        areas = np.bincount(result.mask.ravel(), minlength=len(self._classes) + 1)[1:]
        found = [name for name, area in zip(self._classes, areas, strict=True) if area]
        return Row(
            file=str(item.path),
            status=result.status,
            label="|".join(sorted(found, key=lambda name: -result.scores[name])),
            score=result.score,
            area=int(areas.sum()),
            components=len(result.components),
            mask=mask,
            image_novelty=result.image_novelty,
            warning=result.warning,
            scores=[result.scores[name] for name in self._classes],
            explained=result.explained,
        )

    def _failed(self, item: Item, reason: str) -> Row:
        with suppress(UnwritableName):  # then it has no files
            remove(self._out, mask_of(item))
        return Row(str(item.path), "failed", error=reason)

    def annotation(self, row: Row) -> Annotation:
        """The mask of a picture and its scores, for annotation tools."""
        scores = dict(zip(self._classes, row.scores, strict=True))
        return segmented(self._out, row.mask, row.file, dict(enumerate(self._classes, 1)), row.score, scores)

    def write_table(self, rows: Sequence[Row]) -> None:
        """Write results.csv.

        Raises:
            OutError: it cannot be written.
        """
        columns = [*COLUMNS, *(f"score_{name}" for name in self._classes)]
        write_csv(self._out / TABLE, columns, (self._cells(row) for row in rows))

    def _cells(self, row: Row) -> list[object]:
        scores: Sequence[float | None] = row.scores or [None] * len(self._classes)
        return [_cell(getattr(row, column)) for column in COLUMNS] + [_cell(score) for score in scores]


def mask_of(item: Item) -> str:
    """Path of a picture's mask below OUT."""
    return f"{MASKS}/{item.name}.png"


def reason_of(item: Item, error: ImageError | UnwritableName) -> str:
    """Why a picture failed, without its path, which stands beside it."""
    return str(error).removeprefix(f"{item.path}: ")


def remove(out: Path, mask: str) -> None:
    """Delete a mask, and the relevance map and heatmap that belong to it, where they exist.

    Raises:
        OutError: they cannot be deleted.
    """
    for path in (out / mask, out / _relevance_of(mask), out / _heatmap_of(mask)):
        with writing(path):
            path.unlink(missing_ok=True)


def _relevance_of(mask: str) -> PurePosixPath:
    return RELEVANCE / PurePosixPath(mask).relative_to(MASKS).with_suffix(".tiff")


def _heatmap_of(mask: str) -> PurePosixPath:
    return EXPLAINED / PurePosixPath(mask).relative_to(MASKS)


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return printable(value) if isinstance(value, str) else value
