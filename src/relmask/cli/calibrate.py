"""`relmask calibrate`: new thresholds for a run."""

from typing import Annotated

import typer

import relmask
from relmask.cli.options import BatchSize, Data, Device, Json, Masks, Quiet, RunFolder
from relmask.cli.printing import show
from relmask.cli.progress import shown


def calibrate(
    run: RunFolder,
    data: Data,
    false_alarms: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            min=0,
            max=0.99,
            help="False-alarm rate: share of the clean pictures that may get a mask. Default: the run's.",
        ),
    ] = None,
    masks: Masks = None,
    device: Device = "auto",
    batch_size: BatchSize = 8,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Choose the thresholds of a run again, without training.

    With --masks, true masks decide how far masks reach, and the gates stay unless --false-alarms is given.
    Pass DATA itself as --masks to use the masks that it names.

    When stopped: the run keeps its old thresholds; the same command starts over.

    Example:
        relmask calibrate run parts/ --false-alarms 0.03
        relmask calibrate run parts/ --masks parts/     # with the true masks of DATA, where a few are there
        relmask calibrate run parts/ --masks export.json    # with masks that a person corrected
    """
    from relmask.calibration.calibrate import calibrate
    from relmask.out import locked

    trained = relmask.load(run, device=device, batch_size=batch_size)
    with shown(quiet) as progress, locked(run):
        found = calibrate(trained, data, false_alarms=false_alarms, masks=masks, progress=progress)
    lines = (f"{name}: gate {t.gate:.3g}, level {t.level:.3g}" for name, t in found.classes.items())
    show(found, as_json, lines)
