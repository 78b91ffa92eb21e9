import json
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from relmask.cli.patches import patches
from tests.data.pictures import picture

app = typer.Typer()
app.command()(patches)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    picture(tmp_path / "data" / "a.png", size=(32, 16))
    picture(tmp_path / "data" / "b.png", size=(32, 16))
    mask = np.zeros((32, 16), np.uint8)
    mask[:16] = 255
    Image.fromarray(mask).save(tmp_path / "data" / "m.png")
    (tmp_path / "data" / "index.csv").write_text("image,label,mask\na.png,pit,m.png\nb.png,pit,\n")
    return tmp_path


def test_prints_how_many_patches_of_each_label(folder: Path) -> None:
    result = CliRunner().invoke(app, [str(folder / "data"), "-o", str(folder / "out"), "--size", "16"])
    assert result.exit_code == 0, result.stdout
    assert "2 patches in" in result.stdout
    assert "  ok: 1\n  pit: 1\n" in result.stdout
    assert "1 defective pictures left out: no mask" in result.stdout


def test_files_that_cannot_be_read_exit_with_1(folder: Path) -> None:
    with (folder / "data" / "index.csv").open("a") as file:
        file.write("c.png,pit,m.png\n")
    (folder / "data" / "c.png").write_bytes(b"")
    arguments = [str(folder / "data"), "-o", str(folder / "out"), "--size", "16"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert "c.png: is no picture" in result.stderr
    found = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert found["labels"] == {"ok": 1, "pit": 1}
    assert list(found["failed"]) == ["c.png"]
