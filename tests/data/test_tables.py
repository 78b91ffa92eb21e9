from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmask.data.tables import read_table
from relmask.errors import DataError


def rows_of(path: Path, content: bytes) -> list[dict[str, str]]:
    path.write_bytes(content)
    return [dict(row.cells) for row in read_table(path, ("image", "label"))]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_reads_what_spreadsheets_write(tmp_path: Path, delimiter: str, encoding: str, end: str) -> None:
    text = f"image{delimiter}label{end}Lötstelle.png{delimiter}pit{end}"
    assert rows_of(tmp_path / "a.csv", text.encode(encoding)) == [{"image": "Lötstelle.png", "label": "pit"}]


def test_spaces_case_of_columns_and_empty_lines_do_not_matter(tmp_path: Path) -> None:
    content = b"sep=;\r\n\r\n Image ;LABEL;;\r\n\r\na.png; pit ;;\r\n;;;\r\n"
    assert [(row["image"], row["label"]) for row in rows_of(tmp_path / "a.csv", content)] == [
        ("a.png", "pit")
    ]


def test_rows_know_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'image,label\n\n"a\nb.png",pit\nc.png,pit\n')
    assert [row.line for row in read_table(path, ("image", "label"))] == [4, 5]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"image,labels\na.png,pit\n", "lacks the column label; its first line reads: image, labels"),
        (b"a.png,pit\nb.png,ok\n", "lacks the column image and label"),
        (b"image,label,label\na.png,pit,ok\n", "the column label twice"),
        (b"image,label\na.png,pit\na,b.png,pit\n", "line 3: 3 cells, but 2 columns"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00", "is not a text file"),
        (b"image,label\n" + b"a" * 200_000 + b",pit\n", "is not a CSV file"),
    ],
)
def test_says_what_is_wrong_with_a_table(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        rows_of(tmp_path / "a.csv", content)


def test_a_table_that_is_not_there_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_table(tmp_path / "none.csv", ("image",))


@given(content=st.binary(max_size=200))
def test_any_bytes_are_rows_or_a_data_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "hostile.csv"
    with suppress(DataError):
        assert all(set(row) <= {"image", "label"} for row in rows_of(path, b"image,label\n" + content))
