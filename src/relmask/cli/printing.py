"""How a command ends: its result on stdout, what failed on stderr, the exit code."""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from relmask.errors import OutError
from relmask.files import reason

if TYPE_CHECKING:
    from pydantic import BaseModel


def show(result: "BaseModel | Mapping[str, Any] | object", as_json: bool, lines: Iterable[object]) -> None:
    """Print `lines`, or, with `--json`, the result instead and nothing else.

    Args:
        result: a mapping, a dataclass or a pydantic model.
        as_json: the command's `--json`.
        lines: text for people.

    Raises:
        OutError: stdout is a file that cannot be written.
    """
    if not as_json:
        for line in lines:
            _print(line)
        return
    if is_dataclass(result) and not isinstance(result, type):
        result = asdict(result)
    elif not isinstance(result, Mapping):
        result = result.model_dump(mode="json")  # type: ignore[attr-defined]
    _print(json.dumps(result, indent=2, default=str, ensure_ascii=False, allow_nan=False))


def finish(failed: Iterable[str] = ()) -> NoReturn:
    """List what failed, a line with the reason each, on stderr; exit with 0, or with 1 if something did."""
    code = 0
    for line in failed:
        code = 1
        typer.echo(line, err=True)
    raise typer.Exit(code)


def _print(text: object) -> None:
    try:
        typer.echo(text)
    except BrokenPipeError:  # `| head` has read enough; typer ends the command
        raise
    except OSError as error:
        with suppress(OSError, ValueError):  # else Python tries again, and fails again, as it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutError(f"Cannot write to stdout: {reason(error)}") from error
