import csv
import json
import shutil
from pathlib import Path

from typer.testing import CliRunner, Result

from relmask.cli import app
from relmask.inference.run import Run


def segment(run: Path, parts: Path, out: Path, *more: str) -> Result:
    words = ["segment", run, parts / "images", "-o", out, "-q", *more]
    return CliRunner().invoke(app, [str(word) for word in words])


def test_more_false_alarms_may_be_allowed_for_one_job(trained: Run, parts: Path, tmp_path: Path) -> None:
    result = segment(trained.path, parts, tmp_path / "out", "--false-alarms", "0.6", "--explain-clean")
    assert result.exit_code == 0
    settings = json.loads((tmp_path / "out/segment.json").read_text())
    assert (settings["false_alarms"], settings["explain_clean"]) == (0.6, True)
    assert set(settings["gates"]) == set(trained.metadata.classes)
    with (tmp_path / "out/results.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    clean = [row for row in rows if row["explained"]]
    assert 0 < len(clean) < len(rows)
    assert {row["status"] for row in clean} == {"clean"}
    assert len(list((tmp_path / "out/explained").rglob("*.png"))) == len(clean)


def test_a_run_of_an_earlier_version_says_what_other_gates_need(
    trained: Run, parts: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained.path, tmp_path / "old", ignore=shutil.ignore_patterns("scores.csv"))
    result = segment(tmp_path / "old", parts, tmp_path / "out", "--false-alarms", "0.1")
    assert result.exit_code == 3
    assert "relmask calibrate" in result.stderr.replace("\n", " ")
    assert not (tmp_path / "out").exists()
