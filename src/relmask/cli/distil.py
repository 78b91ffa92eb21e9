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
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="Number of epochs of 50 batches in the first round; the second has half as many.",
        ),
    ] = 16,
    seed: Seed = 0,
    batch_size: BatchSize = 16,
    precision: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Precision of training: 32-true or bf16-mixed.",
        ),
    ] = "bf16-mixed",
    device: Device = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Continue a training that was stopped.")] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Distil a run into a student: a U-Net trained on the run's own masks of its training pictures.

    OUT is a run like any other. With --masks, masks that a person corrected replace the run's own, and the
    student records that it saw masks. Otherwise no true mask is read.

    When stopped: the same command with --resume continues where this one stopped.

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
    lines = (f"Student: {student.path}. What it learned: {student.path / 'report.html'}",)
    show(said, as_json, lines)
