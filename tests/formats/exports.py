"""A part that files of annotation tools show, and how it is read from them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from relmask.formats import Annotation, Annotations, format_of, read

INSIDE = np.zeros((6, 8), bool)
INSIDE[1:4, 2:7] = True
CORNERS = [[2, 1], [7, 1], [7, 4], [2, 4]]


def only(path: Path, expected_format: str) -> Annotation:
    assert format_of(path) == expected_format
    (found,) = read(path).pictures
    return found


def assert_inside(annotation: Annotation, label: str = "pit", size: tuple[int, int] | None = None) -> None:
    np.testing.assert_array_equal(annotation.draw((label,), size), INSIDE)


def as_json(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def left_out(path: Path, counts: str) -> Annotations:
    """What is read of a file or a folder, with a warning that counts what is not."""
    with pytest.warns(UserWarning, match=f"^{re.escape(f'Left out of {path}: {counts}.')}$"):
        return read(path)
