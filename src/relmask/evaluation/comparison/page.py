"""comparison.html: the table, and what every method makes of the same pictures."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from relmask.data.reading import read_image
from relmask.data.truth import has_truth, read_truth
from relmask.evaluation.comparison.run import LONGEST, MethodRun, in_every_kind
from relmask.evaluation.comparison.schema import Row, false_masks
from relmask.evaluation.comparison.shared import Shared
from relmask.evaluation.metrics import Interval
from relmask.report import (
    Line,
    Picture,
    Section,
    charts,
    colours,
    curves,
    facts,
    fitted,
    gallery,
    legend,
    painted,
    table,
    text,
    write_report,
)
from relmask.report.html import Cell as Shown


def write_page(path: Path, shared: Shared, runs: Sequence[MethodRun]) -> None:
    """Write the page; it is whole or absent.

    Args:
        path: of the page.
        shared: what the methods share.
        runs: of all methods; those that are done are shown.
    """
    rows = [row for method in runs for row in method.rows]
    sections = [
        *_warnings(shared),
        _figures("Thresholds without test masks", [row for row in rows if row.threshold == "labels"], LABELS),
        _figures("Best thresholds", [row for row in rows if row.threshold == "best"], BEST),
        *_classes(rows),
        *_notes(rows, runs),
        *_curves(shared),
        _settings(shared),
        legend(
            "Colours of the masks", colours(shared.split.index.classes), note="Without classes: the first."
        ),
        gallery("The same pictures, every method", list(_pictures(shared, runs)), note=PICTURES, aside=True),
    ]
    write_report(path, f"relmask: methods on {shared.split.index.root.name}", sections)


LABELS = (
    "Chosen from labels alone; where a method saw masks, on those of validation. In brackets: 95 %, "
    "a bootstrap over groups; comparison.csv has it for the other figures. AUROC: of pictures. False masks: "
    "share of clean pictures with a mask. Training: thresholds included; methods that explain the same "
    "classifier share it. A dash: not defined here."
)
BEST = (
    "Chosen on the very test masks that the method is judged by: an upper bound, not a result. The gate "
    "is the calibrated one or none; one level for the figures of any defect, one for each class for theirs."
)
PICTURES = "Thresholds as in the first table. A method that stopped for time lacks pictures."


def _warnings(shared: Shared) -> list[Section]:
    found = [*shared.split.index.left_out, *shared.split.warnings]
    if not shared.split.grouped:
        found.insert(0, "Leaky: the same part may lie in training and in test, every figure is too good.")
    return [text("Read this first", *found, warning=True)] if found else []


def _figures(title: str, rows: Sequence[Row], note: str) -> Section:
    columns = (
        *("method", "IoU", "mean IoU", "F1", "F1 2 px", "AUPRO", "AUROC", "false masks", "s an image"),
        *("training, s", "saw"),
    )
    runs = [_line(row) for row in rows]
    strong = next((number for number, row in enumerate(rows) if row.method == "relmask"), None)
    return table(title, columns, runs, note=note, strong=strong)


def _line(row: Row) -> tuple[Shown, ...]:
    pixel, ci = row.pixel, row.ci95
    return (
        row.method,
        _between(pixel.iou, ci.iou),
        _between(row.mean_iou, ci.mean_iou),
        pixel.f1,
        pixel.f1_tol2,
        pixel.aupro,
        row.image.auroc,
        false_masks(row),
        row.seconds_per_image,
        None if row.train_seconds is None else round(row.train_seconds),
        ", ".join(row.saw),
    )


def _between(value: float | None, interval: Interval) -> Shown:
    if value is None or interval is None:
        return value
    return f"{value:.3f} ({interval[0]:.2f}, {interval[1]:.2f})"


def _classes(rows: Sequence[Row]) -> list[Section]:
    names = sorted({name for row in rows for name in row.per_class})
    if len(names) < 2:
        return []
    runs = [
        (
            row.method,
            row.threshold,
            *(row.per_class[name].iou if name in row.per_class else None for name in names),
        )
        for row in rows
        if row.per_class
    ]
    return [table("IoU of each class", ("method", "thresholds", *names), runs)]


def _notes(rows: Sequence[Row], runs: Sequence[MethodRun]) -> list[Section]:
    notes: dict[str, Shown] = {row.method: row.note for row in rows if row.note}
    notes |= {method.name: method.reason for method in runs if method.reason}
    return [facts("Where a method got less, or nothing", notes)] if notes else []


def _curves(shared: Shared) -> list[Section]:
    """Loss of all that was trained."""
    drawings = {}
    for path in sorted(shared.folder.glob("*/history.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            epochs = list(csv.DictReader(file))
        lines = [
            Line(name, [float(line["epoch"]) for line in epochs], [float(line[key]) for line in epochs])
            for name, key in (("training", "train_loss"), ("validation", "val_loss"))
        ]
        drawings[path.parent.name] = curves(lines, x_label="epoch", y_label="loss")
    return [charts("Training", drawings)] if drawings else []


def _settings(shared: Shared) -> Section:
    settings, test = shared.settings, shared.test
    return facts(
        "Split and budget",
        {
            "test": f"{len(test)} pictures in {len({sample.group for sample in test})} groups",
            "learned from": f"patches of {settings.patches} px" if settings.patches else "whole pictures",
            "classifier": settings.backbone,
            "a method's time": f"{settings.minutes:g} minutes",
            "clean pictures that may get a mask": f"{settings.false_alarms:.1%}",
            "seed": settings.seed,
        },
    )


def _pictures(shared: Shared, runs: Sequence[MethodRun]) -> Iterator[Picture]:
    index = shared.split.index
    for number, sample in enumerate(in_every_kind(shared.test)):
        found = {method.name: method.picture(number) for method in runs if method.rows}
        masks = {name: np.asarray(Image.open(path)) for name, path in found.items() if path.is_file()}
        image = read_image(sample.path)
        truth = read_truth(sample, index) if has_truth(sample) else np.zeros(image.shape[:2], np.uint8)
        first = {"picture": _small(image), "true mask": fitted(painted(image, truth), LONGEST)}
        label = " and ".join(sorted(sample.labels)) or "clean"
        yield Picture(sample.name, {**first, **masks}, [(label, "")])


def _small(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    return fitted(np.round(image * 255).clip(0, 255).astype(np.uint8), LONGEST)
