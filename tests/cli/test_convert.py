import json
from pathlib import Path

import numpy as np
from PIL import Image
from typer.testing import CliRunner, Result

from relmask.cli import app


def relmask_(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_convert_writes_several_formats_and_lists_what_failed(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    Image.fromarray(np.eye(4, dtype=np.uint8)).save(tmp_path / "masks/a.png")
    (tmp_path / "masks/b.png").touch()
    arguments = ("convert", tmp_path / "masks", "-o", tmp_path / "out", "--classes", "pit, dent", "-q")
    result = relmask_(*arguments, "--to", "coco,cvat")
    assert result.exit_code == 1
    assert result.stdout == f"1 masks as coco, cvat, 1 failed\nResults in {tmp_path / 'out'}\n"
    assert result.stderr.startswith("b: ")
    (tmp_path / "masks/b.png").unlink()
    result = relmask_(*arguments, "--to", "yolo", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["classes"] == ["pit", "dent"]
    assert (tmp_path / "out/yolo/labels/a.txt").exists()


def test_convert_says_what_is_missing(tmp_path: Path) -> None:
    assert relmask_("convert", tmp_path, "-o", tmp_path).exit_code == 2
    result = relmask_("convert", tmp_path, "-o", tmp_path, "--to", "gimp")
    assert (result.exit_code, "There are: png, voc" in result.stderr) == (2, True)
