"""What a job has done so far, kept so that it can go on after it was stopped."""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from relmask.errors import OutError
from relmask.files import reason


@dataclass(frozen=True, slots=True)
class Row:
    """One line of results.csv.

    Attributes:
        file: the picture: INPUT joined with the path below it.
        status: defect, clean or failed.
        label: classes of the mask, the most probable first, joined by |.
        score: probability of any defect; None where the picture failed.
        area: of the mask, in pixels.
        components: connected parts of the mask.
        mask: its path below OUT.
        error: why the picture failed.
        novelty: how unlike all training pictures it is; None where it failed or the run cannot tell.
        unsure: why the answer should not be relied on.
        scores: probability of each class, in the run's order.
    """

    file: str
    status: str
    label: str = ""
    score: float | None = None
    area: int | None = None
    components: int | None = None
    mask: str = ""
    error: str = ""
    novelty: float | None = None
    unsure: str = ""
    scores: Sequence[float] = ()


class Journal:
    """Lines of JSON, appended when a picture is done; a torn last line is cut off.

    Raises:
        OutError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._done: dict[str, tuple[tuple[int, int], Row]] = {}

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            content = self._path.read_bytes() if self._path.exists() else b""
            whole, _, torn = content.rpartition(b"\n")
            self._file = self._path.open("ab")
            self._file.truncate(len(content) - len(torn))
        except OSError as error:
            raise OutError(f"Cannot write {self._path}: {reason(error)}") from error
        for line in whole.splitlines():
            with suppress(ValueError, KeyError, TypeError):  # a damaged line: the picture is done again
                entry = json.loads(line)
                self._done[entry["row"]["file"]] = (tuple(entry["stamp"]), Row(**entry["row"]))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __getitem__(self, path: Path) -> Row | None:
        """The line of a picture, if it was done and has not changed since."""
        stamp, row = self._done.get(str(path), (None, None))
        return row if row and stamp == _stamp(path) else None

    def rows(self) -> dict[str, Row]:
        """The last line of every picture, by its file."""
        return {file: row for file, (_, row) in self._done.items()}

    def add(self, path: Path, row: Row) -> None:
        """Append the line of a picture.

        Raises:
            OutError: it cannot be written.
        """
        stamp = _stamp(path)
        line = json.dumps({"stamp": stamp, "row": asdict(row)}) + "\n"
        try:
            self._file.write(line.encode())
            self._file.flush()
        except OSError as error:
            raise OutError(f"Cannot write {self._path}: {reason(error)}") from error
        self._done[row.file] = (stamp, row)


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of change; (0, 0) for what is not there any more."""
    try:
        status = os.stat(path)  # noqa: PTH116 - half the time of Path.stat over thousands of files
    except OSError:
        return (0, 0)
    return (status.st_size, status.st_mtime_ns)
