"""The folder that a training writes to."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from relmask.errors import OutError
from relmask.files import write_json
from relmask.models import bundle

SETTINGS = "training.json"
CHECK = "check.json"
CHECKPOINTS = "checkpoints"


def prepare(out: Path, wanted: Mapping[str, Any], *, resume: bool, overwrite: bool) -> None:
    """Make `out` ready: empty, or with the checkpoints of the same training. Nothing is written before.

    Args:
        out: folder of the run.
        wanted: settings and data that make a training the same, as JSON holds them.
        resume: go on with what is there, if it is the same.
        overwrite: delete it.

    Raises:
        OutError: it holds something else, or cannot be used.
    """
    path = out / SETTINGS
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        filled = out.exists() and any(out.iterdir())
    except (OSError, ValueError) as error:
        raise OutError(f"Cannot use {out} for a run: {error}. Choose another folder.") from error
    if filled and found is None:
        raise OutError(f"{out} holds other files. Choose an empty or a new folder for the run.")
    if filled and overwrite:
        tables = ("split.csv", "history.csv", "report.html")
        for name in (bundle.METADATA, bundle.WEIGHTS, SETTINGS, CHECK, *tables):
            (out / name).unlink(missing_ok=True)
        shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
    elif filled and not resume:
        raise OutError(
            f"{out} holds a run. Go on with it (--resume), replace it (--overwrite) or choose another."
        )
    elif filled and found != wanted:
        raise OutError(
            f"{out} was begun with other settings or other data, so it cannot be resumed. "
            "Train with the same ones, or replace it with --overwrite."
        )
    write_json(path, dict(wanted))
