"""`relmask segment`: pictures to masks."""

from typing import Annotated

import typer

import relmask
from relmask.cli.options import (
    BatchSize,
    Device,
    ImageRoot,
    Inputs,
    Json,
    Out,
    Overwrite,
    Quiet,
    RunFolder,
    names_in,
)
from relmask.cli.printing import finish, show
from relmask.cli.progress import shown


def segment(
    run: RunFolder,
    inputs: Inputs,
    out: Out,
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAMES",
            help="Formats besides png, separated by commas: voc, coco, yolo, labelme, label-studio, cvat.",
        ),
    ] = "png",
    image_root: ImageRoot = "",
    relevance: Annotated[
        bool, typer.Option("--relevance", help="Write relevance maps as well, as float32 TIFF.")
    ] = False,
    false_alarms: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            min=0,
            max=0.99,
            help="False-alarm rate of this job: share of the clean pictures that may get a mask. The run "
            "stays as it is. Default: the run's gates.",
        ),
    ] = None,
    explain_clean: Annotated[
        bool,
        typer.Option(
            "--explain-clean",
            help="Explain pictures below the gate as well: the relevance of their strongest class. Their "
            "masks stay empty.",
        ),
    ] = False,
    device: Device = "auto",
    batch_size: BatchSize = 8,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Segment pictures: write a mask for each, results.csv and report.html.

    When stopped: the same command continues where this one stopped.

    Example:
        relmask segment run new/ -o masks
        relmask segment run monday/ 'tuesday/*.png' -o masks --relevance
        relmask segment run new/ -o masks --format cvat,coco      # to correct, to train on
        relmask segment run new/ -o masks --false-alarms 0.05     # more defects, more false alarms
        relmask segment run new/ -o masks --explain-clean         # why is a defect called clean?
    """
    with shown(quiet) as progress:
        outcome = relmask.segment_files(
            relmask.load(run, device=device, batch_size=batch_size),
            inputs,
            out,
            formats=names_in(formats),
            image_root=image_root,
            relevance=relevance,
            false_alarms=false_alarms,
            explain_clean=explain_clean,
            batch_size=batch_size,
            overwrite=overwrite,
            progress=progress,
        )
    show(outcome, as_json, [outcome])
    finish(f"{file}: {reason}" for file, reason in outcome.failed)
