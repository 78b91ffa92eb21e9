import csv
import errno
import json
import os
from pathlib import Path

import pytest

from relmask.errors import OutError, UnwritableName
from relmask.files import shortened, whole, write_csv, write_json, write_text


def test_a_file_is_whole_or_absent(tmp_path: Path) -> None:
    def interrupted() -> None:
        with whole(tmp_path / "new" / "file.txt") as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list((tmp_path / "new").iterdir())


def test_a_failure_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    write_text(tmp_path / "file.json", "old")
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "file.json", {"value": float("nan")})
    assert (tmp_path / "file.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file.json"]


def test_the_temporary_file_keeps_the_suffix(tmp_path: Path) -> None:
    with whole(tmp_path / "mask.png") as part:
        assert part.suffix == ".png"
        part.touch()


def test_a_very_long_name_can_be_written(tmp_path: Path) -> None:
    names = ["x" * 251 + ".txt", "x." + "y" * 253, "\N{GRINNING FACE}" * 60 + ".txt"]
    for name in names:
        write_text(tmp_path / name, "text")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_a_name_that_the_disk_does_not_take_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(UnwritableName, match="too long"):
        write_text(tmp_path / ("x" * 252 + ".txt"), "text")
    (tmp_path / "taken").mkdir()
    with pytest.raises(UnwritableName, match="in the way"):
        write_text(tmp_path / "taken", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EROFS, "no permission"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_a_disk_that_refuses_leaves_the_file_that_was_there(tmp_path: Path, number: int, reason: str) -> None:
    def write() -> None:
        with whole(tmp_path / "file") as part:
            part.write_text("half")
            raise OSError(number, os.strerror(number))

    write_text(tmp_path / "file", "old")
    with pytest.raises(OutError, match=f"Cannot write .*file: {reason}"):
        write()
    assert (tmp_path / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("most", range(1, 12))
@pytest.mark.parametrize("name", ["größe.png", "\N{GRINNING FACE}" * 3, "latin\udce9.png"])
def test_a_shortened_name_is_the_end_of_whole_letters(name: str, most: int) -> None:
    found = shortened(name, most)
    assert name.endswith(found)
    assert len(os.fsencode(found)) <= most < len(os.fsencode(found)) + 4 or found == name


def test_a_file_in_the_way_of_a_folder_is_an_error_of_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutError, match="Cannot write"):
        write_text(tmp_path / "file" / "deeper" / "text.txt", "text")


def test_json_keeps_every_letter(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"Größe": [1, None]})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert "Größe" in text
    assert json.loads(text) == {"Größe": [1, None]}


def test_csv_cells_survive_commas_quotes_and_new_lines(tmp_path: Path) -> None:
    row = ["a,b", 'say "c"', "two\nlines", "ü"]
    write_csv(tmp_path / "a.csv", list("wxyz"), [row])
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [list("wxyz"), row]
