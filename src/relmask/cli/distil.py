"""`relmask distil`: a run to a student that learned from its masks."""

from typing import Annotated

import typer

import relmask
from relmask.cli.options import BatchSize, Data, Device, Json, Masks, Out, Overwrite, Quiet, RunFolder, Seed
from relmask.cli.printing import show
from relmask.cli.progress import shown


def distil(
    run: RunFolder,
    data: Data,
    out: Out,
    masks: Masks = None,
    epochs: Annotated[
        int, typer.Option(metavar="N", min=1, help="Of 50 batches, of the first of the two rounds.")
    ] = 16,
    seed: Seed = 0,
    batch_size: BatchSize = 16,
    precision: Annotated[
        str, typer.Option(metavar="NAME", help="32-true, bf16-mixed, ... as Lightning Fabric names them.")
    ] = "bf16-mixed",
    device: Device = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a stopped training was.")] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a student segmenter, a U-Net, on a run's own masks of its training pictures.

    OUT is a run like any other. With --masks, those that a person corrected replace the run's own, and the
    student says that it saw masks. No true mask is read otherwise.

    When stopped: the same command with --resume goes on where this one stopped.

    Example:
        relmask distil run parts/ -o student
        relmask distil run parts/ -o student --masks export.json    # with masks that a person corrected
    """
    with shown(quiet) as progress:
        student = relmask.distil(
            relmask.load(run, device=device),
            data,
            out,
            masks=masks,
            epochs=epochs,
            batch_size=batch_size,
            seed=seed,
            device=device,
            precision=precision,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
        )
    said = {"run": str(student.path), **student.metadata.model_dump(mode="json")}
    lines = (f"Student in {student.path}. What it learned: {student.path / 'report.html'}",)
    show(said, as_json, lines)
