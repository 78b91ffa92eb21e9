"""`relmask train`: labelled pictures to a run."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

import relmask
from relmask.cli.options import Clean, Data, Device, Json, Out, Overwrite, Quiet, Seed
from relmask.cli.progress import shown


def train(
    data: Data,
    out: Out,
    backbone: Annotated[
        str,
        typer.Option(
            help="efficientnet-lite0, vgg-narrow, vgg11, vgg11-bn, vgg16, vgg16-bn, resnet18, resnet34, "
            "resnet50."
        ),
    ] = "efficientnet-lite0",
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Default: 6 of 50 batches, from scratch 12.")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(min=32, help="Side of the model's input in pixels. Default: 256, or a patch's."),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="Weights of the backbone: safetensors, or a state dict with torchvision's names."),
    ] = None,
    finetune: Annotated[bool, typer.Option("--finetune", help="Train the backbone, too.")] = False,
    clean: Clean = None,
    resplit: Annotated[
        Literal["grouped", "random"] | None,
        typer.Option(help="Draw new splits, by group or by picture, instead of those of DATA."),
    ] = None,
    false_alarms: Annotated[
        float, typer.Option(min=0, max=0.99, help="Share of the clean pictures that may get a mask.")
    ] = 0.01,
    seed: Seed = 0,
    batch_size: Annotated[int, typer.Option(min=2, help="Pictures in a batch.")] = 16,
    device: Device = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a stopped training was.")] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a classifier from image-level labels, and choose its thresholds."""
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
    if as_json:
        typer.echo(json.dumps({"run": str(run.path), **run.metadata.model_dump(mode="json")}, indent=2))
    else:
        typer.echo(f"Run in {run.path}. What it learned: {run.path / 'report.html'}")
