"""`relmask compare`: methods side by side on one split."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from relmask.cli.options import (
    Backbone,
    BatchSize,
    Clean,
    Data,
    Device,
    Json,
    Out,
    Overwrite,
    Quiet,
    Resplit,
    Seed,
    names_in,
)
from relmask.cli.printing import show
from relmask.cli.progress import shown

if TYPE_CHECKING:
    from relmask.evaluation.comparison import Row


def compare(
    data: Data,
    out: Out,
    methods: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Names of methods, separated by commas. Default: all that apply; a wrong name lists them.",
        ),
    ] = None,
    baseline: Annotated[
        Literal["unet", "none"] | None,
        typer.Option(
            metavar="NAME",
            help="Baseline trained on true masks: unet adds a U-Net to --methods; none leaves it out.",
        ),
    ] = None,
    patches: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=8, help="Side in pixels of patches to learn from; whole pictures are judged."
        ),
    ] = None,
    minutes: Annotated[
        float,
        typer.Option(
            metavar="MINUTES",
            min=0.001,
            help="Time budget per method; slower methods train fewer epochs or process fewer pictures.",
        ),
    ] = 20.0,
    backbone: Backbone = "efficientnet-lite0",
    epochs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Number of epochs of the classifiers, as in train.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(metavar="N", min=32, help="Side of the model's input, as in train.")
    ] = None,
    batch_size: BatchSize = 16,
    precision: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Precision of training: 32-true or bf16-mixed.",
        ),
    ] = "32-true",
    clean: Clean = None,
    resplit: Resplit = None,
    false_alarms: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            min=0,
            max=0.99,
            help="False-alarm rate: share of the clean pictures that may get a mask.",
        ),
    ] = 0.01,
    seed: Seed = 0,
    device: Device = "auto",
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare relmask with other explanations, detectors and a U-Net on one split, in one table.

    OUT gets comparison.json, comparison.csv and comparison.html. Test pictures need true masks; the U-Net
    also needs those of training and validation pictures.

    When stopped: the same command continues where this one stopped; OUT also takes more methods later.

    Example:
        relmask compare parts/ -o comparison
        relmask compare roads/ -o comparison --patches 96 --backbone vgg-narrow
        relmask compare parts/ -o comparison --methods relmask,one-class --baseline unet --minutes 5
    """
    from relmask.evaluation.comparison import compare as compare_methods

    with shown(quiet) as progress:
        rows = compare_methods(
            data,
            out,
            chosen(methods, baseline),
            overwrite=overwrite,
            progress=progress,
            patches=patches,
            minutes=minutes,
            backbone=backbone,
            epochs=epochs,
            size=size,
            batch_size=batch_size,
            precision=precision,
            clean=clean,
            resplit=resplit,
            false_alarms=false_alarms,
            seed=seed,
            device=device,
        )
    result = {"out": out, "rows": [row.model_dump(mode="json") for row in rows]}
    show(result, as_json, [*_lines(rows), f"Page: {out / 'comparison.html'}"])


def chosen(methods: str | None, baseline: str | None) -> list[str]:
    """Names of the methods to run.

    >>> chosen("relmask, darkness,", "unet")
    ['relmask', 'darkness', 'unet']
    """
    from relmask.evaluation.comparison import METHODS, UNET

    names = names_in(methods or "") or [*METHODS]
    if baseline is None:
        return names
    others = [name for name in names if name != UNET]
    return [*others, UNET] if baseline == UNET else others


def _lines(rows: Sequence["Row"]) -> Iterator[str]:
    width = max(len(row.method) for row in rows)
    yield f"{'method':{width}}  thresholds    IoU  mean IoU     F1  F1 2px  AUROC  empty on clean"
    for row in rows:
        scores = (row.pixel.iou, row.mean_iou, row.pixel.f1, row.pixel.f1_tol2)
        figures = (*scores, row.image.auroc, row.clean.empty_share)
        runs = "  ".join(f"{'-' if value is None else f'{value:.3f}':>6}" for value in figures)
        yield f"{row.method:{width}}  {row.threshold:10}  {runs}"
