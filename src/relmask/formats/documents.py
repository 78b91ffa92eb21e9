"""JSON files that hold annotations: finding, reading and writing them."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from relmask.errors import DataError


def documents(path: Path) -> list[Path]:
    """The file itself if it is JSON, or all JSON files below a folder, sorted; hidden ones are left out."""
    if path.is_dir():
        found = sorted(path.rglob("*.json"))
        return [
            file for file in found if not any(part.startswith(".") for part in file.relative_to(path).parts)
        ]
    return [path] if path.suffix.lower() == ".json" else []


def load(path: Path) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Content of a JSON file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is no JSON file that can be read ({error}). Export it again.") from error


def first_is(path: Path, kind: Callable[[Any], bool]) -> bool:
    """Whether the first of the documents is of a kind; one that cannot be read is of none."""
    try:
        return any(kind(load(file)) for file in documents(path)[:1])
    except DataError:
        return False


@contextmanager
def appending(file: TextIO) -> Iterator[Callable[[object], None]]:
    """Write a JSON list, one item a call and a line."""
    separator = "["

    def add(item: object) -> None:
        nonlocal separator
        file.write(separator + "\n" + json.dumps(item, ensure_ascii=False, allow_nan=False))
        separator = ","

    yield add
    file.write("[]" if separator == "[" else "\n]")
