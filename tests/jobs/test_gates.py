"""Jobs with gates of their own, and pictures below the gate that are explained all the same."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from relmask.errors import OutError, RunError
from relmask.inference.run import Run
from relmask.jobs import segment_files
from relmask.masks.gates import Scores
from relmask.models.kept_scores import SCORES, KeptScores, write_scores
from tests.jobs.fakes import picture as grey
from tests.serve.conftest import CLASSES, GREEN, RED, picture, seeing_colours


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Passes pictures of more than 4 red or green pixels; by the scores that it keeps 40 clean pictures have
    0, 0.5 .. 19.5 red ones."""
    run = seeing_colours(tmp_path / "run", windows=False)
    (run.path / "model.safetensors").write_bytes(b"weights")
    logits = np.zeros((60, 2))
    logits[:40, 0] = np.arange(40) / 2
    logits[40:] = [[60, 0], [0, 16]] * 10
    targets = np.zeros((60, 2), bool)
    targets[40::2, 0] = targets[41::2, 1] = True
    names = [f"{number}.png" for number in range(60)]
    scores = Scores(logits, targets, [str(number) for number in range(60)])
    write_scores(run.path, KeptScores(scores, names, ["validation"] * 60), CLASSES)
    return run


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """A red picture, one of 12 red pixels, and a black one."""
    for name, spots in {"red": RED, "small": {0: (slice(2, 5), slice(3, 7))}, "clean": {}}.items():
        grey(tmp_path / f"in/{name}.png")
        Image.fromarray(picture(spots)).save(tmp_path / f"in/{name}.png")
    return tmp_path / "in"


def table(out: Path) -> dict[str, dict[str, str]]:
    with (out / "results.csv").open(newline="", encoding="utf-8") as file:
        return {Path(row["file"]).stem: row for row in csv.DictReader(file)}


def test_a_job_has_gates_for_its_own_rate_and_the_run_stays(run: Run, parts: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in run.path.iterdir()}
    for rate, gate, defects in ((0.5, 9.75, {"red", "small"}), (0.25, 14.5, {"red"})):
        segment_files(run, [parts], tmp_path / f"out-{rate}", false_alarms=rate)
        found = {name for name, row in table(tmp_path / f"out-{rate}").items() if row["status"] == "defect"}
        assert found == defects
        settings = json.loads((tmp_path / f"out-{rate}/segment.json").read_text())
        assert settings["false_alarms"] == rate
        assert settings["gates"]["red stain"] == pytest.approx(gate)
        page = (tmp_path / f"out-{rate}/report.html").read_text(encoding="utf-8")
        assert f"Gates for a false-alarm rate of {rate:.1%} were chosen for this job alone" in page
        assert f">{gate:.3g}<" in page
    assert {path.name: path.read_bytes() for path in run.path.iterdir()} == before


def test_gates_are_a_part_of_what_a_job_is(run: Run, parts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    segment_files(run, [parts], out, false_alarms=0.5)
    assert segment_files(run, [parts], out, false_alarms=0.5).resumed == 3
    with pytest.raises(OutError, match=r"false_alarms: 0\.5, now 0\.25"):
        segment_files(run, [parts], out, false_alarms=0.25)
    with pytest.raises(OutError, match=r"false_alarms: 0\.5, now None"):
        segment_files(run, [parts], out)
    with pytest.raises(OutError, match="explain_clean: None, now True"):
        segment_files(run, [parts], out, false_alarms=0.5, explain_clean=True)
    segment_files(run, [parts], out, false_alarms=0.25, overwrite=True)
    text = (run.path / SCORES).read_text().replace("14.5", "14.25")
    (run.path / SCORES).write_text(text)
    with pytest.raises(OutError, match=r"red stain: 14\.5\d*, now 14\.2"):
        segment_files(run, [parts], out, false_alarms=0.25)


def test_a_rate_that_the_groups_do_not_support_is_told(run: Run, parts: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"Only 40 groups of clean images.* 1.0% \(100 needed\)"):
        segment_files(run, [parts], tmp_path / "out", false_alarms=0.01)


def test_a_run_that_keeps_no_scores_refuses_before_anything_is_written(
    run: Run, parts: Path, tmp_path: Path
) -> None:
    (run.path / SCORES).unlink()
    with pytest.raises(RunError, match="relmask calibrate"):
        segment_files(run, [parts], tmp_path / "out", false_alarms=0.5)
    assert not (tmp_path / "out").exists()
    assert segment_files(run, [parts], tmp_path / "out").complete


def test_clean_pictures_are_explained_if_asked(run: Run, parts: Path, tmp_path: Path) -> None:
    Image.fromarray(picture({1: (slice(0, 1), slice(0, 3))})).save(parts / "trace.png")  # 3 green pixels
    Image.fromarray(picture(RED | GREEN)).save(parts / "both.png")
    out = tmp_path / "out"
    segment_files(run, [parts], out, explain_clean=True, relevance=True)
    rows = table(out)
    assert {name: row["explained"] for name, row in rows.items()} == {
        "both": "",
        "clean": "red stain",
        "red": "",
        "small": "",
        "trace": "green",
    }
    assert {name for name, row in rows.items() if row["status"] == "clean"} == {"clean", "trace"}
    assert not np.asarray(Image.open(out / "masks/trace.png")).any()
    assert tifffile.imread(out / "relevance/trace.tiff")[0, :3] == pytest.approx(1, abs=1e-3)
    assert sorted(path.name for path in (out / "explained").iterdir()) == ["clean.png", "trace.png"]
    heatmap = np.asarray(Image.open(out / "explained/trace.png"))
    assert heatmap.shape[1] > 2 * 32  # the picture and its relevance side by side
    assert "below the gate, relevance of green" in (out / "report.html").read_text(encoding="utf-8")
    Image.fromarray(picture(RED)).save(parts / "trace.png")
    segment_files(run, [parts], out, explain_clean=True, relevance=True)
    assert not (out / "explained/trace.png").exists()  # it is no clean picture any more
    segment_files(run, [parts], out, overwrite=True)
    assert not (out / "explained").exists()
