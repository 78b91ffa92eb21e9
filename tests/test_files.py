import csv
import json
from pathlib import Path

import pytest

from relmask.errors import OutError
from relmask.files import whole, write_csv, write_json, write_text


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
    write_text(tmp_path / ("x" * 250 + ".txt"), "text")
    assert len(list(tmp_path.iterdir())) == 1


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
