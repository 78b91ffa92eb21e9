"""Fields of a document, checked: each is what its format says, or `Damaged` tells what is wrong.

Documents come from other programs and from people with editors, so nothing in them is taken for granted.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from relmask.arrays import DoubleArray
from relmask.errors import DataError

_LARGEST = 1e9
"""Magnitude that no size, coordinate or score has; what exceeds it is no number."""


class Damaged(ValueError):
    """A document makes no sense; the message says where, for a person, but names no file and no picture."""


@contextmanager
def damage_in(file: Path, kind: str) -> Iterator[None]:
    """Turn `Damaged` into an error that names the file and what it should be."""
    try:
        yield
    except Damaged as error:
        raise DataError(f"{file} is no complete {kind}: {error}. Export it again.") from error


@contextmanager
def damage_at(place: str) -> Iterator[None]:
    """Put the place before what `Damaged` says."""
    try:
        yield
    except Damaged as error:
        raise Damaged(f"{place}: {error}" if place else str(error)) from error


def objects(holder: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The list of objects at `key`.

    Raises:
        Damaged: there is something else.
    """
    found = holder.get(key)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise Damaged(f"`{key}` should be a list of objects")
    return found


def text(holder: Mapping[str, Any], key: str) -> str:
    """The text or the number at `key` (ids may be either), as text that every encoding takes.

    Raises:
        Damaged: there is something else, or nothing.
    """
    found = holder.get(key)
    if isinstance(found, bool) or not isinstance(found, str | int | float) or found == "":
        raise Damaged(f"`{key}` is missing" if found in (None, "") else f"`{key}` should be a text")
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    return str(found).encode("utf-8", "replace").decode()  # JSON can hold halves of surrogate pairs


def picture_path(holder: Mapping[str, Any], key: str) -> str:
    r"""The path at `key`, with `/` where Windows writes `\`.

    Raises:
        Damaged: there is none.
    """
    return text(holder, key).replace("\\", "/")


def number(holder: Mapping[str, Any], key: str, default: float | None = None) -> float:
    """The number at `key`, or what its text says.

    Raises:
        Damaged: there is none, and no default.
    """
    found = holder.get(key)
    if found is None and default is not None:
        return default
    value = as_number(found)
    if value is None:
        raise Damaged(f"`{key}` is missing" if found is None else f"`{key}` should be a number")
    return value


def whole_number(holder: Mapping[str, Any], key: str, default: float | None = None) -> int:
    """The whole number at `key`.

    Raises:
        Damaged: there is none, and no default.
    """
    value = number(holder, key, default)
    if not value.is_integer():
        raise Damaged(f"`{key}` should be a whole number")
    return int(value)


def as_number(value: object) -> float | None:
    """A number of sensible magnitude, or a text that is one; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if abs(found) <= _LARGEST else None  # which NaN is not, either


def as_size(height: object, width: object) -> tuple[int, int] | None:
    """Height and width in pixels; None where a document tells none, or one that no picture has."""
    found = as_number(height), as_number(width)
    if found[0] is None or found[1] is None or min(found[0], found[1]) < 1:
        return None
    return int(found[0]), int(found[1])


def as_score(value: object) -> float | None:
    """A probability, or None for anything else; a text is none."""
    found = None if isinstance(value, str) else as_number(value)
    return found if found is not None and 0 <= found <= 1 else None


def corners(values: object) -> DoubleArray:
    """Corners (N, 2) from a list x, y, x, y ... or from a list of pairs.

    Raises:
        Damaged: there is something else.
    """
    try:
        found = np.array(values if isinstance(values, list) else None, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise Damaged("corners should be pairs of numbers, x and y") from error
    flat = found.ndim == 1 and found.size % 2 == 0
    if not (flat or (found.ndim == 2 and found.shape[1] == 2)) or not (np.abs(found) <= _LARGEST).all():
        raise Damaged("corners should be pairs of numbers, x and y")
    return found.reshape(-1, 2)
