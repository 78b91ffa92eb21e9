"""Reading CSV files as people write them: with a byte-order mark, semicolons, old encodings, empty lines."""

import codecs
import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from relmask.errors import DataError

_DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table; absent cells are empty, names of columns are lower case."""

    line: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")


def read_table(path: Path, required: Sequence[str], *, verbatim: bool = False) -> list[Row]:
    """Rows of a CSV file in UTF-8, UTF-16 with a mark, or Windows-1252, separated by comma, semicolon or tab.

    Args:
        path: the file; its first line names the columns.
        required: columns that must be there; others may.
        verbatim: keep spaces around cells, for files that relmask wrote.

    Raises:
        DataError: the file cannot be read, is not text, lacks a required column, names one twice, or has a
            row with more cells than columns.
    """
    lines = _lines(path)
    try:
        rows = [(number, row) for number, row in _parse(lines, required) if any(map(str.strip, row))]
    except csv.Error as error:
        raise DataError(
            f"{path} is not a CSV file: a cell does not end, or holds what is no text. Is a quotation mark "
            "missing? Save it as CSV in UTF-8."
        ) from error
    if not rows:
        raise DataError(f"{path} is empty. Its first line must name the columns {', '.join(required)}.")
    columns = [name.strip().lower() for name in rows.pop(0)[1]]
    if not verbatim:
        rows = [(number, [cell.strip() for cell in row]) for number, row in rows]
    if missing := [name for name in required if name not in columns]:
        found = ", ".join(name for name in columns if name)[:200]
        raise DataError(
            f"{path} lacks the column {' and '.join(missing)}; its first line reads: {found}. "
            f"Name the columns {', '.join(required)} in its first line."
        )
    if twice := [name for name, count in Counter(columns).items() if name and count > 1]:
        raise DataError(f"{path} has the column {twice[0]} twice. Keep one of them.")
    for number, row in rows:
        if any(row[len(columns) :]):
            raise DataError(
                f"{path}, line {number}: {len(row)} cells, but {len(columns)} columns. "
                "Put quotes around cells that hold a separator."
            )
    return [Row(number, dict(zip(columns, row, strict=False))) for number, row in rows]


def _lines(path: Path) -> list[str]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"Cannot read {path}: {error.strerror}. Check that it is a file you may read."
        ) from error
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if utf16 else ("utf-8-sig", "cp1252"):
        try:
            text = content.decode(encoding)
        except UnicodeError:
            continue
        if "\0" not in text:
            return io.StringIO(text, newline="").readlines()
    raise DataError(f"{path} is not a text file. Save it as CSV in UTF-8.")


def _parse(lines: Sequence[str], required: Sequence[str]) -> list[tuple[int, list[str]]]:
    skipped = 1 if lines and lines[0].lower().startswith("sep=") else 0
    header = next((line for line in lines[skipped:] if line.strip()), "")

    def named(delimiter: str) -> int:
        cells = {cell.strip().lower() for cell in next(csv.reader([header], delimiter=delimiter), [])}
        return len(cells.intersection(required))

    reader = csv.reader(lines[skipped:], delimiter=max(_DELIMITERS, key=named))
    return [(reader.line_num + skipped, row) for row in reader]
