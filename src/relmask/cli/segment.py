"""`relmask segment`: pictures to masks."""

from typing import Annotated

import typer

import relmask
from relmask.cli.options import BatchSize, Device, Inputs, Json, Out, Overwrite, Quiet, RunFolder
from relmask.cli.printing import finish, show
from relmask.cli.progress import shown


def segment(
    run: RunFolder,
    inputs: Inputs,
    out: Out,
    formats: Annotated[
        str, typer.Option("--format", metavar="NAMES", help="Of the masks, joined by commas.")
    ] = "png",
    relevance: Annotated[
        bool, typer.Option("--relevance", help="Write relevance maps too, as float32 TIFF.")
    ] = False,
    device: Device = "auto",
    batch_size: BatchSize = 8,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a mask for every picture, and results.csv.

    When stopped: the same command goes on where this one stopped.

    Example:
        relmask segment run new/ -o masks
        relmask segment run monday/ 'tuesday/*.png' -o masks --relevance
    """
    with shown(quiet) as progress:
        outcome = relmask.segment_files(
            relmask.load(run, device=device, batch_size=batch_size),
            inputs,
            out,
            formats=[name.strip() for name in formats.split(",")],
            relevance=relevance,
            batch_size=batch_size,
            overwrite=overwrite,
            progress=progress,
        )
    show(outcome, as_json, [outcome])
    finish(f"{file}: {reason}" for file, reason in outcome.failed)
