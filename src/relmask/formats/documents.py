"""Files that hold annotations: finding, reading and writing them."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import yaml

from relmask.errors import DataError


def documents(path: Path, suffix: str = ".json") -> list[Path]:
    """The file itself if its name ends so, or all such files below a folder, sorted, but for hidden ones.

    Links are followed, each folder once.

    Raises:
        DataError: a folder may not be read.
    """
    if not path.is_dir():
        return [path] if path.suffix.lower() == suffix else []
    found: list[Path] = []
    seen = {path.resolve()}
    for parent, folders, files in os.walk(path, onerror=_refuse, followlinks=True):
        below = {name: Path(parent, name).resolve() for name in folders if not name.startswith(".")}
        folders[:] = [name for name, place in below.items() if place not in seen]
        seen |= set(below.values())
        found += [
            Path(parent, name)
            for name in files
            if not name.startswith(".") and Path(name).suffix.lower() == suffix
        ]
    return sorted(found)


def _refuse(error: OSError) -> None:
    raise DataError(f"{error.filename} cannot be read: {error.strerror}. Ask for read access.") from error


def is_file(path: Path) -> bool:
    """Whether a file is there; a name that no file can have is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def load(path: Path) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Content of a JSON file, in UTF-8 or, with a byte-order mark, UTF-16.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return json.loads(_bytes(path))
    except json.JSONDecodeError as error:
        wrong = f"it breaks in line {error.lineno}, column {error.colno}"
    except UnicodeDecodeError:
        wrong = "it is not in UTF-8"
    except RecursionError:
        wrong = "it is nested too deeply"
    except ValueError:  # a number with thousands of digits
        wrong = "it holds a number that is too long"
    raise DataError(f"{path} is no JSON file that can be read: {wrong}. Export it again.")


def load_yaml(path: Path) -> Any:  # noqa: ANN401 - whatever YAML holds
    """Content of a YAML file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return yaml.safe_load(read_text(path))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" in line {mark.line + 1}" if mark else ""
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: a date that no calendar has
        where = ""
    raise DataError(f"{path} is no YAML file that can be read: it breaks{where}. Export it again.")


def read_text(path: Path) -> str:
    """Content of a text file in UTF-8.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return _bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text file in UTF-8. Save it as one.") from error


def _bytes(path: Path) -> bytes:
    with opened(path) as file:
        return file.read()


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file to read its bytes.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error


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
