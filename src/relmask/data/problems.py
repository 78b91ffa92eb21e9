"""All that is wrong with DATA, said at once."""

from collections.abc import Sequence
from typing import NoReturn

from relmask.errors import DataError


def listed(lines: Sequence[str], limit: int = 5) -> str:
    """The first few lines, indented, and how many more there are."""
    shown = [f"  {line}" for line in lines[:limit]]
    if len(lines) > limit:
        shown.append(f"  ... and {len(lines) - limit} more")
    return "\n".join(shown)


def refuse(what: str, lines: Sequence[str], advice: str) -> NoReturn:
    """Raise a DataError: what is wrong (with its count), the first few places, what to do."""
    raise DataError(f"{what} ({len(lines)}):\n{listed(lines)}\n{advice}")
