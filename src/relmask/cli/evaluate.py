"""`relmask evaluate`: masks against true masks."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

import relmask
from relmask.cli.options import (
    BatchSize,
    Clean,
    Data,
    Device,
    Json,
    Masks,
    Out,
    Overwrite,
    Quiet,
    RunFolder,
    Split,
)
from relmask.cli.printing import show
from relmask.cli.progress import shown

if TYPE_CHECKING:
    from relmask.evaluation.metrics import Metrics, PixelScores


def evaluate(
    run: RunFolder,
    data: Data,
    out: Out,
    split: Split = "test",
    controls: Annotated[
        bool,
        typer.Option(
            "--controls", help="Score two controls beside the run: darkness and a local Otsu threshold."
        ),
    ] = False,
    masks: Masks = None,
    clean: Clean = None,
    device: Device = "auto",
    batch_size: BatchSize = 8,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare masks with true masks: metrics.json, curves, worst cases and a report.

    When stopped: nothing was written; the same command starts over.

    Example:
        relmask evaluate run parts/ -o evaluation
        relmask evaluate run parts/ -o evaluation --controls --json > figures.json
        relmask evaluate run parts/ -o evaluation --masks corrected/annotations.xml
    """
    with shown(quiet) as progress:
        metrics = relmask.evaluate(
            relmask.load(run, device=device, batch_size=batch_size),
            data,
            out,
            split=split,
            masks=masks,
            clean=clean,
            controls=controls,
            overwrite=overwrite,
            progress=progress,
        )
    show(metrics, as_json, [*lines(metrics), f"Report: {out / 'report.html'}"])


def lines(metrics: "Metrics") -> Iterator[str]:
    """The figures that matter most, a line each."""
    leak = "" if metrics.grouped else "; leaky: the same part may be in training, every figure is too good"
    yield f"{metrics.split}: {metrics.images} pictures of {metrics.groups} groups{leak}"
    yield f"pictures: AUROC {_figure(metrics.image.auroc)}, accuracy {_figure(metrics.image.accuracy)}"
    if metrics.clean.images:
        yield f"empty masks on {_figure(metrics.clean.empty_share)} of {metrics.clean.images} clean pictures"
    if metrics.image.recall_at_gate is not None:
        yield f"defective pictures: {_figure(metrics.image.recall_at_gate)} above a gate, " + (
            f"highest relevance on the defect in {_figure(metrics.image.peak_on_defect)}"
        )
    rows = {"any defect": metrics.pixel, **metrics.per_class}
    width = max(map(len, rows))
    yield f"{'pixels':{width}}    IoU     F1  F1 2px"
    for name, scores in rows.items():
        yield f"{name:{width}}  {_row(scores)}"


def _row(scores: "PixelScores") -> str:
    return "  ".join(_figure(value) for value in (scores.iou, scores.f1, scores.f1_tol2))


def _figure(value: float | None) -> str:
    return "    -" if value is None else f"{value:5.3f}"
