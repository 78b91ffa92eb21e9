"""What `comparison.json` and `comparison.csv` hold: two rows a method."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, TypeAdapter

from relmask.evaluation.metrics import CleanScores, ImageScores, Interval, Intervals, PixelScores, Share
from relmask.files import write_csv, write_json
from relmask.record import Record

Saw = Literal["labels", "clean images", "masks"]


class Row(Record):
    """One method with one kind of threshold, on the test pictures."""

    method: str
    threshold: Literal["labels", "best"] = Field(
        description="`labels`: chosen without a test mask, from labels alone unless `saw` names masks. "
        "`best`: chosen on the very test masks that it is judged by: an upper bound, not a result."
    )
    saw: tuple[Saw, ...] = Field(description="What training and thresholds were given, `best` apart.")
    train_seconds: float | None = Field(ge=0, description="None where there is nothing to train.")
    seconds_per_image: float = Field(ge=0)
    images: int = Field(description="Test pictures that were judged.")
    note: str = Field(description="Where the method got less than the others, and why.")
    pixel: PixelScores
    per_class: dict[str, PixelScores] = Field(description="Empty: tells defect from background only.")
    mean_iou: Share | None
    clean: CleanScores
    image: ImageScores
    ci95: Intervals


ROWS = TypeAdapter(list[Row])

COLUMNS = (
    *("method", "threshold", "saw", "iou", "iou_low", "iou_high", "f1", "f1_low", "f1_high"),
    *("f1_tol2", "f1_tol2_low", "f1_tol2_high", "mean_iou", "mean_iou_low", "mean_iou_high", "precision"),
    *("recall", "ap", "aupro", "auroc", "auroc_low", "auroc_high", "false_masks", "train_seconds"),
    *("seconds_per_image", "images", "note"),
)


def false_masks(row: Row) -> float | None:
    """Share of the clean pictures that got a mask."""
    return None if row.clean.empty_share is None else 1 - row.clean.empty_share


def write_rows(rows: Sequence[Row], out: Path) -> None:
    """Write comparison.json and comparison.csv.

    Raises:
        OutError: they cannot be written.
    """
    classes = sorted({name for row in rows for name in row.per_class})
    columns = (*COLUMNS, *(f"iou_{name}" for name in classes))
    write_csv(out / "comparison.csv", columns, ([*_cells(row, classes)] for row in rows))
    write_json(out / "comparison.json", ROWS.dump_python(list(rows), mode="json"))


def _cells(row: Row, classes: Sequence[str]) -> list[object]:
    pixel, ci = row.pixel, row.ci95
    runs: list[object] = [row.method, row.threshold, " + ".join(row.saw)]
    for value, interval in ((pixel.iou, ci.iou), (pixel.f1, ci.f1), (pixel.f1_tol2, ci.f1_tol2)):
        runs += _with_interval(value, interval)
    runs += _with_interval(row.mean_iou, ci.mean_iou)
    runs += [_number(value) for value in (pixel.precision, pixel.recall, pixel.ap, pixel.aupro)]
    runs += _with_interval(row.image.auroc, ci.auroc)
    runs += [_number(value) for value in (false_masks(row), row.train_seconds, row.seconds_per_image)]
    runs += [row.images, row.note]
    scores = (row.per_class.get(name) for name in classes)
    return runs + ["" if score is None else _number(score.iou) for score in scores]


def _with_interval(value: float | None, interval: Interval) -> list[str]:
    return [_number(value), *(_number(end) for end in interval or (None, None))]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
