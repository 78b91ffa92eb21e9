"""Progress of long work, told to whoever shows it."""

from typing import Protocol


class Progress(Protocol):
    """Called after every step of a task; whoever shows it decides how often."""

    def __call__(self, task: str, done: int, total: int, note: str = "") -> None:
        """Say that `done` of `total` steps of `task` are done; `note` is a short remark, like a loss."""


def silent(task: str, done: int, total: int, note: str = "") -> None:
    """Say nothing."""
