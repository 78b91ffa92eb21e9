import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from relmask.cli.data import data
from relmask.errors import DataError
from tests.data.pictures import picture

app = typer.Typer()
app.command()(data)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for label in ("ok", "pit"):
        for number in range(4):
            picture(tmp_path / label / f"{number}.png", number * 20)
    return tmp_path


def test_prints_counts_splits_and_warnings(folder: Path) -> None:
    result = CliRunner().invoke(app, [str(folder)])
    assert result.exit_code == 0
    assert "8 pictures in 8 groups" in result.stdout
    assert "drawn; DATA states none" in result.stdout
    assert "warning: No groups are known" in result.stdout
    pit = next(line for line in result.stdout.splitlines() if line.startswith("pit"))
    assert pit.split()[1:3] == ["4", "4"]


def test_broken_files_are_listed_and_exit_with_1(folder: Path) -> None:
    (folder / "pit" / "3.png").write_bytes(b"")
    result = CliRunner().invoke(app, [str(folder)])
    assert result.exit_code == 1
    assert "Broken files (1)\n  pit/3.png: is no picture" in result.stdout


def test_json_is_only_json(folder: Path) -> None:
    result = CliRunner().invoke(app, [str(folder), "--json", "--resplit", "grouped", "--seed", "3"])
    found = json.loads(result.stdout)
    assert found["images"] == 8
    assert sum(found["splits"].values()) == 8


def test_data_that_cannot_be_used_is_a_data_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [str(tmp_path / "none")])
    assert isinstance(result.exception, DataError)
