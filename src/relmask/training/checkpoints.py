"""A checkpoint an epoch, so that a stopped training goes on where it was."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from relmask.errors import RunError
from relmask.files import write_bytes


def save(folder: Path, epoch: int, state: Mapping[str, Any], keep: set[int]) -> None:
    """Write the state after `epoch` and delete the checkpoints of all epochs not in `keep`."""
    content = BytesIO()  # into a file, torch.save tells of a full disk as a position that it did not expect
    torch.save(dict(state), content)
    write_bytes(_path(folder, epoch), content.getbuffer())
    for number, path in _all(folder).items():
        if number not in keep | {epoch}:
            path.unlink()


def load(folder: Path, epoch: int) -> dict[str, Any]:
    """State after `epoch`, on the CPU.

    Raises:
        RunError: the file is absent or damaged.
    """
    path = _path(folder, epoch)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise RunError(
            f"Checkpoint {path} cannot be read: it is absent, damaged or no checkpoint. "
            "Train again with --overwrite."
        ) from error
    if not isinstance(state, dict):
        raise RunError(f"Checkpoint {path} holds no state. Train again with --overwrite.")
    return state


def last_epoch(folder: Path) -> int | None:
    """The latest epoch with a checkpoint, None if there is none."""
    return max(_all(folder), default=None)


def _path(folder: Path, epoch: int) -> Path:
    return folder / f"epoch-{epoch:04d}.pt"


def _all(folder: Path) -> dict[int, Path]:
    paths = {path.stem.removeprefix("epoch-"): path for path in folder.glob("epoch-*.pt")}
    return {int(number): path for number, path in paths.items() if number.isdecimal()}
