"""Folders that hold something already: a training goes on, replaces it, or refuses."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

import relmask
from relmask.errors import OutError, RunError
from relmask.progress import Progress
from tests.effort import LITTLE
from tests.training.conftest import Trainer, weights_of


def stopping_at(at: str, step: int) -> Progress:
    def progress(task: str, done: int, total: int, note: str = "") -> None:
        if (task, done) == (at, step):
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize(
    ("task", "step", "pretrained"),
    [
        ("training", 4, True),
        ("cross-fitting", 1, True),
        ("features", 16, True),
        ("training", 5, False),
    ],
)
def test_a_resumed_training_equals_an_uninterrupted_one_byte_for_byte(
    small: Trainer, narrow_weights: Path, task: str, step: int, pretrained: bool
) -> None:
    # Where no false alarm is allowed, no number of clean images is enough: training images are judged, too.
    choices = {"epochs": 2, "weights": narrow_weights if pretrained else None, "false_alarms": 0.0}
    with pytest.raises(KeyboardInterrupt):
        small("stopped", progress=stopping_at(task, step), **choices)
    resumed, whole = small("stopped", resume=True, **choices), small("whole", **choices)
    assert weights_of(resumed) == weights_of(whole)
    assert resumed.metadata.calibration == whole.metadata.calibration
    for name in ("history.csv", "split.csv", "scores.csv"):
        assert (resumed.path / name).read_bytes() == (whole.path / name).read_bytes()


def test_an_unfinished_run_is_no_run_yet(small: Trainer, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        small(progress=stopping_at("training", LITTLE.steps))
    with pytest.raises(RunError, match=r"not a run.*--resume"):
        relmask.load(tmp_path / "run")


def test_a_folder_with_other_files_is_refused_and_left_alone(small: Trainer, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("x", encoding="utf-8")
    for choices in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(OutError, match="holds other files"):
            small(**choices)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.txt"]
    with pytest.raises(OutError, match="Cannot write"):
        small("run/thesis.txt")


def test_a_run_is_replaced_only_when_asked_to(small: Trainer, tmp_path: Path) -> None:
    first = weights_of(small())
    (tmp_path / "run" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(OutError, match=r"of these settings.*--resume.*--overwrite"):
        small()
    for resume in (False, True):
        with pytest.raises(OutError, match=r"(?s)a run of other settings:\n  seed: 0, now 1\n.*--overwrite"):
            small(seed=1, resume=resume)
    assert weights_of(relmask.load(tmp_path / "run")) == first
    assert weights_of(small(seed=1, overwrite=True)) != first
    assert (tmp_path / "run" / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_weights_may_be_named_in_another_way_when_a_training_goes_on(
    small: Trainer, narrow_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = weights_of(small())
    monkeypatch.chdir(narrow_weights.parent)
    assert weights_of(small(weights=narrow_weights.name, resume=True)) == first


def test_other_data_are_not_resumed(small: Trainer, parts: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        small(progress=stopping_at("training", 1))
    changed = tmp_path / "changed"
    shutil.copytree(parts, changed)
    Image.new("RGB", (64, 64)).save(changed / "images" / "0000a.jpg")
    with pytest.raises(OutError, match="data: changed since"):
        small(data=changed, resume=True)


def test_a_finished_run_that_is_resumed_stays_the_same(small: Trainer) -> None:
    first, again = small(), small(resume=True)
    assert weights_of(first) == weights_of(again)
    assert first.metadata == again.metadata.model_copy(update={"command": first.metadata.command})
