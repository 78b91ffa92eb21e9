"""`relmask segment`: pictures to masks."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

import relmask
from relmask.cli.options import BatchSize, Device, Inputs, Json, Out, Overwrite, Quiet, RunFolder
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
    """Write a mask for every picture, and results.csv."""
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
    for file, reason in outcome.failed:
        typer.echo(f"{file}: {reason}", err=True)
    typer.echo(json.dumps(asdict(outcome), default=str, indent=2) if as_json else outcome)
    raise typer.Exit(0 if outcome.complete else 1)
