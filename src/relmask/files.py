"""Files that are whole or absent, however the program ends."""

import csv
import errno
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from relmask.errors import OutError


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary file beside `path` that becomes `path` if the block succeeds.

    The temporary name keeps the suffix, since writers choose their format by it. Missing folders are made.

    Raises:
        OutError: the place cannot be written (no permission, full disk, a file where a folder should be).
    """
    part = path.with_name(f".{path.stem[:60]}.{os.getpid()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(path)
    except OSError as error:
        raise OutError(f"Cannot write {path}: {reason(error)}") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8; the file is whole or absent."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Write `value` as indented JSON; NaN and infinities are refused, since JSON has none."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a header and rows as UTF-8 CSV."""
    with whole(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def reason(error: OSError) -> str:
    """Why a file cannot be written, and what to do, as the end of a sentence."""
    if error.errno == errno.ENOSPC:
        return (
            "the disk is full. Free some space and run the same command again: it goes on where it stopped."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "no permission. Choose another folder, or ask for write access."
    return f"{error.strerror or error}."


def printable(text: str | Path) -> str:
    """The text with what no encoding knows, as in odd file names, replaced."""
    return os.fsencode(text).decode("utf-8", "replace")
