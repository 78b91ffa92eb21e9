"""Files that are whole or absent, however the program ends."""

import csv
import errno
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from relmask.errors import OutError, UnwritableName

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_UNKNOWN_LETTERS = (errno.EILSEQ, errno.EINVAL)
_TAKEN = (errno.EISDIR, errno.ENOTDIR, errno.EEXIST)
_NAME_REFUSED = (errno.ENAMETOOLONG, *_UNKNOWN_LETTERS, *_TAKEN)
_LONGEST_SUFFIX = 16
_numbers = itertools.count()

PARTS = ".relmask-*.part*"
"""Pattern of the names of temporary files; one is left over where a process was killed while it wrote."""


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary file beside `path` that becomes `path` if the block succeeds.

    The temporary name keeps the suffix, since writers choose their format by it. Missing folders are made.

    Raises:
        UnwritableName: the disk does not take a file of this name here.
        OutError: the place cannot be written (no permission, full disk, a file where a folder should be).
    """
    # The stem is not part of the name, which may already be as long as the disk allows.
    suffix = path.suffix if len(path.suffix) <= _LONGEST_SUFFIX else ""
    part = path.with_name(f".relmask-{os.getpid()}-{next(_numbers)}.part{suffix}")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield part
            part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into an error that says why `path` cannot be written.

    Raises:
        UnwritableName: because of its name.
        OutError: for any other reason.
    """
    try:
        yield
    except OSError as error:
        kind = UnwritableName if error.errno in _NAME_REFUSED else OutError
        raise kind(f"Cannot write {path}: {reason(error)}") from error


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write `content`; the file is whole or absent."""
    with whole(path) as part:
        part.write_bytes(content)


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
    again = "and run the same command again"
    match error.errno:
        case None:  # numpy and Pillow, when a write ends before all is written
            return f"only a part of it could be written. Free some space on the disk {again}."
        case number if number in _FULL:
            return f"the disk is full. Free some space {again}: it goes on where it stopped."
        case errno.EFBIG:
            return f"the file is larger than this disk, or a limit of this process, allows. Raise it {again}."
        case number if number in _FORBIDDEN:
            return "no permission. Choose another folder, or ask for write access."
        case errno.ENAMETOOLONG:
            return "the name is too long for this disk. Give it a shorter one."
        case number if number in _UNKNOWN_LETTERS:
            return "this disk does not take such a name. Give it another one."
        case number if number in _TAKEN:
            return "a file or folder of that name is in the way. Rename one of them."
    return f"{error.strerror or error}."


def printable(text: str | Path) -> str:
    """The text with what no encoding knows, as in odd file names, replaced."""
    return os.fsencode(text).decode("utf-8", "replace")


def shortened(name: str, most: int) -> str:
    """The end of a file's name, of at most so many bytes, since disks count bytes.

    >>> shortened("part-0001.png", 8), shortened("größe", 4)
    ('0001.png', 'ße')
    """
    cut = os.fsencode(name)[-most:]
    while cut and cut[0] & 0b1100_0000 == 0b1000_0000:  # the rest of a letter whose first byte is cut off
        cut = cut[1:]
    return os.fsdecode(cut)
