from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import relmask
from relmask.cli import app
from relmask.errors import RunError


def demo(out: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["demo", "-o", str(out), "-q", *options])


def test_pictures_of_another_demo_are_not_taken_for_those_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*places: Path, **options: object) -> None:
        raise RunError("reached the training")

    monkeypatch.setattr(relmask, "train", refuse, raising=False)
    for options in (["--images", "60"], ["--images", "60"]):
        assert "reached the training" in demo(tmp_path, *options).stderr
    for options, changed in ((["--images", "61"], "images: 60, now 61"), (["--seed", "1"], "seed: 0, now 1")):
        result = demo(tmp_path, "--images", "60", *options)
        assert (result.exit_code, changed in result.stderr) == (3, True)
    assert len(list((tmp_path / "data" / "images").iterdir())) == 60
    assert "reached the training" in demo(tmp_path, "--images", "62", "--overwrite").stderr
    assert len(list((tmp_path / "data" / "images").iterdir())) == 62
