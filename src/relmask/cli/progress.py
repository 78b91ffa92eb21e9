"""Progress on stderr: a bar in a terminal, now and then a line elsewhere."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from relmask.progress import Progress, silent

MOST = 300
"""Longest pause between two lines of a task, in seconds."""


@contextmanager
def shown(quiet: bool = False) -> Iterator[Progress]:
    """Give what the library reports its progress to."""
    if quiet:
        yield silent
    elif sys.stderr.isatty() and os.environ.get("TERM") not in (None, "dumb", "unknown"):
        with bars() as progress:
            yield progress
    else:
        yield Lines(sys.stderr)


class Lines:
    """A line at the start and the end of every task, and between them ever fewer, so that logs stay short.

    Args:
        stream: file to print to.
        seconds: pause after the first line of a task; later a tenth of the time since then, at most MOST.
    """

    def __init__(self, stream: TextIO, seconds: float = 10) -> None:
        self._stream = stream
        self._seconds = seconds
        self._begun = ("", 0, 0.0, 0)  # task, its total, when it began, and with how many done
        self._told = 0.0

    def __call__(self, task: str, done: int, total: int, note: str = "") -> None:
        """Take a step of a task, and perhaps tell it."""
        now = time.monotonic()
        first = self._begun[:2] != (task, total)
        if first:
            self._begun = (task, total, now, done)
        elif done < total and now - self._told < self._pause(now):
            return
        self._told = now
        _, _, begin, before = self._begun
        parts = [f"{task} {done}/{total}"]
        if done > before and now > begin:
            rate = (done - before) / (now - begin)
            parts.append(f"{rate:.3g}/s")
            parts += [f"{_duration((total - done) / rate)} left"] if done < total else []
        print(", ".join([*parts, *([note] if note else [])]), file=self._stream, flush=True)

    def _pause(self, now: float) -> float:
        return max(self._seconds, min(MOST, (now - self._begun[2]) / 10))


@contextmanager
def bars() -> Iterator[Progress]:
    """A bar for every task, with its rate and the time that is left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Bars(*columns, console=Console(stderr=True)) as display:
        tasks: dict[tuple[str, int], TaskID] = {}

        def progress(task: str, done: int, total: int, note: str = "") -> None:
            key = (task, total)
            if key not in tasks:
                tasks[key] = display.add_task(task, total=total, completed=done, rate="", note=note)
                return
            speed = display.tasks[tasks[key]].speed
            rate = f"{speed:.3g}/s" if speed else ""
            display.update(tasks[key], completed=done, rate=rate, note=note)

        yield progress


def _duration(seconds: float) -> str:
    """For a person: 8 s, 3 min, 2.5 h.

    >>> [_duration(seconds) for seconds in (8.2, 170, 9000)]
    ['8 s', '3 min', '2.5 h']
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
