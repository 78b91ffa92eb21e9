"""A journal of the pictures that a job has done, by which it continues after a stop."""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from relmask.files import writing


@dataclass(frozen=True, slots=True)
class Row:
    """One line of results.csv.

    Attributes:
        file: path of the picture: INPUT, as it was given, joined with the path below it.
        status: "defect", "clean" or "failed".
        label: names of the classes in the mask, the most probable first, joined by |.
        score: probability of any defect; None if the picture failed.
        area: size of the mask in pixels.
        components: number of connected parts of the mask.
        mask: path of the mask below OUT.
        error: reason why the picture failed.
        image_novelty: distance to the nearest training picture; None if it failed or the run cannot tell.
        warning: reason not to rely on the answer; empty if there is none.
        scores: probability of each class, in the run's order.
        explained: class whose relevance was made though the picture passes no gate; empty if none was.
    """

    file: str
    status: str
    label: str = ""
    score: float | None = None
    area: int | None = None
    components: int | None = None
    mask: str = ""
    error: str = ""
    image_novelty: float | None = None
    warning: str = ""
    scores: Sequence[float] = ()
    explained: str = ""


class Journal:
    """Lines of JSON, appended when a picture is done; a torn last line is cut off.

    A picture is known by its absolute path, so that INPUT may be given in another way when a job goes on.

    Raises:
        OutError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._done: dict[str, tuple[tuple[int, int], Row]] = {}

    def __enter__(self) -> Self:
        with writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            content = self._path.read_bytes() if self._path.exists() else b""
            whole, _, torn = content.rpartition(b"\n")
            # Unbuffered: what a full disk does not take would be written again, and fail again, on closing.
            self._file = self._path.open("ab", buffering=0)
            self._file.truncate(len(content) - len(torn))
        for line in whole.splitlines():
            with suppress(ValueError, KeyError, TypeError):  # a damaged line: the picture is done again
                entry = json.loads(line)
                self._done[entry["path"]] = (tuple(entry["stamp"]), Row(**entry["row"]))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __getitem__(self, path: Path) -> Row | None:
        """The line of a picture, if it was done and has not changed since."""
        stamp, row = self._done.get(_key(path), (None, None))
        return replace(row, file=str(path)) if row and stamp == _stamp(path) else None

    def row(self, path: Path) -> Row | None:
        """The last line of a picture, even if it has changed since."""
        _, row = self._done.get(_key(path), (None, None))
        return replace(row, file=str(path)) if row else None

    def add(self, path: Path, row: Row) -> None:
        """Append the line of a picture.

        Raises:
            OutError: it cannot be written.
        """
        stamp = _stamp(path)
        line = json.dumps({"path": _key(path), "stamp": stamp, "row": asdict(row)}) + "\n"
        with writing(self._path):
            left = memoryview(line.encode())
            while left:
                left = left[self._file.write(left) :]
        self._done[_key(path)] = (stamp, row)


def _key(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of change; (0, 0) for what is not there any more."""
    try:
        status = os.stat(path)  # noqa: PTH116 - half the time of Path.stat over thousands of files
    except OSError:
        return (0, 0)
    return (status.st_size, status.st_mtime_ns)
