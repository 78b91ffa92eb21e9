"""`relmask train`: labelled pictures to a run."""

from pathlib import Path
from typing import Annotated

import typer

import relmask
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
)
from relmask.cli.printing import show
from relmask.cli.progress import shown


def train(
    data: Data,
    out: Out,
    backbone: Backbone = "efficientnet-lite0",
    epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Number of epochs of 50 batches. Default: 6; with --finetune 12; from scratch 20.",
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            metavar="PX",
            min=32,
            help="Side of the model's input in pixels. Default: the patches', with dinov2-small 448, "
            "else 256 or 512, whichever judges unseen groups better.",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            readable=False,
            help="File with weights of the (last) backbone: safetensors or a state dict, named as published.",
        ),
    ] = None,
    finetune: Annotated[bool, typer.Option("--finetune", help="Train the backbone as well.")] = False,
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
    batch_size: BatchSize = 16,
    device: Device = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Continue a training that was stopped.")] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a classifier from image-level labels and choose its thresholds; no mask is read.

    When stopped: the same command with --resume continues after the last complete epoch.

    Example:
        relmask train parts/ -o run
        relmask train parts/ -o run --backbone resnet18 --weights resnet18.pth
        relmask train parts/ -o run --backbone efficientnet-lite0+dinov2-small
    """
    with shown(quiet) as progress:
        run = relmask.train(
            data,
            out,
            backbone=backbone,
            epochs=epochs,
            size=size,
            weights=weights,
            finetune=finetune,
            clean=clean,
            resplit=resplit,
            false_alarms=false_alarms,
            seed=seed,
            batch_size=batch_size,
            device=device,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
        )
    told = {"run": str(run.path), **run.metadata.model_dump(mode="json")}
    show(told, as_json, [f"Run: {run.path}. What it learned: {run.path / 'report.html'}"])
