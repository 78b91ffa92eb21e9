import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from relmask.cli import app
from relmask.data.index import read_index
from relmask.inference.run import Run
from tests.formats.masks import exported


def evaluated(run: Run, parts: Path, out: Path, *more: str | Path) -> Result:
    arguments = ["evaluate", run.path, parts, "-o", out, "-q", *more]
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("name", ["coco", "label-studio"])
def test_masks_that_a_tool_exported_give_the_figures_of_those_of_data(
    trained: Run, parts: Path, tmp_path: Path, name: str
) -> None:
    masks = exported(tmp_path / name, name, read_index(parts))
    figures = []
    for out in ("own", "theirs"):
        more: list[str | Path] = ["--masks", masks] if out == "theirs" else []
        assert evaluated(trained, parts, tmp_path / out, *more).exit_code == 0
        metrics = json.loads((tmp_path / out / "metrics.json").read_text())
        figures.append({key: value for key, value in metrics.items() if key != "seconds_per_image"})
    assert figures[0]["pixel"]["iou"] is not None
    assert figures[0] == figures[1]


def test_predictions_are_not_taken_for_true_masks(trained: Run, parts: Path, tmp_path: Path) -> None:
    masks = exported(tmp_path / "tasks", "label-studio", read_index(parts))
    tasks = json.loads((masks / "tasks.json").read_text())
    predicted = [{"data": task["data"], "predictions": task["annotations"]} for task in tasks]
    (masks / "tasks.json").write_text(json.dumps(predicted))
    result = evaluated(trained, parts, tmp_path / "out", "--masks", masks)
    assert (result.exit_code, "predictions only" in result.stderr) == (3, True)
