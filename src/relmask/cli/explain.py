"""`relmask explain`: why the model says what it says."""

from typing import Annotated

import typer

import relmask
from relmask.cli.options import BatchSize, Device, Inputs, Json, Out, Overwrite, Quiet, RunFolder
from relmask.cli.printing import finish, show
from relmask.cli.progress import shown

COMPOSITES = (
    "relmask",
    "relmask_fine",
    "attnlrp",
    "epsilon_plus",
    "epsilon_plus_flat",
    "epsilon_alpha2_beta1",
    "epsilon_alpha2_beta1_flat",
    "epsilon_gamma_box",
)


def explain(
    run: RunFolder,
    inputs: Inputs,
    out: Out,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS", help="Class to explain. Default: the one with the highest logit in each picture."
        ),
    ] = None,
    composite: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Name of the LRP rules to use instead of the run's, like epsilon_plus.",
            autocompletion=lambda: COMPOSITES,
        ),
    ] = None,
    table: Annotated[
        bool, typer.Option("--table", help="Print how much of the relevance each layer kept.")
    ] = False,
    device: Device = "auto",
    batch_size: BatchSize = 8,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Draw heatmaps: where in each picture the evidence for a class lies.

    When stopped: finished heatmaps stay; the same command makes all of them again.

    Example:
        relmask explain run new/001.png -o heatmaps
        relmask explain run new/ -o heatmaps --target scratch --composite epsilon_plus
    """
    with shown(quiet) as progress:
        explained = relmask.explain_files(
            relmask.load(run, device=device, batch_size=batch_size),
            inputs,
            out,
            target=target,
            composite=composite,
            tables=table,
            overwrite=overwrite,
            progress=progress,
        )
    show(explained, as_json, [*(f"{file}\n{kept}\n" for file, kept in explained.tables), explained])
    finish(f"{file}: {reason}" for file, reason in explained.failed)
