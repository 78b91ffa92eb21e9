"""`relmask explain`: why the model says what it says."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

import relmask
from relmask.cli.options import Device, Inputs, Json, Out, Quiet, RunFolder
from relmask.cli.progress import shown


def explain(
    run: RunFolder,
    inputs: Inputs,
    out: Out,
    target: Annotated[
        str | None,
        typer.Option(metavar="CLASS", help="Default: the one with the highest logit in a picture."),
    ] = None,
    composite: Annotated[
        str | None, typer.Option(metavar="NAME", help="Rules instead of the run's, like epsilon_plus.")
    ] = None,
    table: Annotated[
        bool, typer.Option("--table", help="Print what each layer kept of the relevance.")
    ] = False,
    device: Device = "auto",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Draw heatmaps: where in each picture a class finds its evidence."""
    with shown(quiet) as progress:
        explained = relmask.explain_files(
            relmask.load(run, device=device),
            inputs,
            out,
            target=target,
            composite=composite,
            tables=table,
            progress=progress,
        )
    for file, reason in explained.failed:
        typer.echo(f"{file}: {reason}", err=True)
    if as_json:
        typer.echo(json.dumps(asdict(explained), default=str, indent=2))
    else:
        for file, kept in explained.tables:
            typer.echo(f"{file}\n{kept}\n")
        typer.echo(explained)
    raise typer.Exit(1 if explained.failed else 0)
