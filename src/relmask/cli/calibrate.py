"""`relmask calibrate`: new thresholds for a run."""

from typing import Annotated

import typer

import relmask
from relmask.cli.options import Data, Device, Json, Quiet, RunFolder
from relmask.cli.progress import shown


def calibrate(
    run: RunFolder,
    data: Data,
    false_alarms: Annotated[
        float | None,
        typer.Option(
            min=0, max=0.99, help="Share of the clean pictures that may get a mask. Default: the run's."
        ),
    ] = None,
    masks: Annotated[
        bool, typer.Option("--masks", help="Let the true masks of DATA say how far masks reach.")
    ] = False,
    device: Device = "auto",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Choose the thresholds of a run anew, without training."""
    from relmask.training.recalibrate import recalibrate

    with shown(quiet) as progress:
        found = recalibrate(
            relmask.load(run, device=device), data, false_alarms=false_alarms, masks=masks, progress=progress
        )
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        for name, thresholds in found.classes.items():
            typer.echo(
                f"{name}: gate {thresholds.gate:.3g}, seed {thresholds.seed:.3g}, "
                f"extent {thresholds.extent:.3g} of {thresholds.extent_of}"
            )
