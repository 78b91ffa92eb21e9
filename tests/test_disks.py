"""Disks that are full: every command says so, leaves whole files alone, and goes on when there is room."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

import relmask
from relmask.cli import app
from relmask.data.index import read_index
from relmask.data.patches import cut_patches
from relmask.errors import OutError
from relmask.evaluation.comparison import compare
from relmask.evaluation.controls import CONTROLS
from relmask.evaluation.evaluate import evaluate_index
from relmask.formats import FORMATS
from relmask.inference.run import Run
from relmask.jobs import convert_files, explain_files, segment_files
from relmask.synthetic.surfaces import write_surfaces
from relmask.training.train import train
from tests.effort import LITTLE
from tests.jobs.fakes import FakeRun, picture

LIMITS = (0, 100, 1_000, 4_000, 16_000, 100_000)
"""Bytes of the largest file that can be written."""
Command = Callable[[Path], object]


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let every write fail that would make a file larger, as a full disk does; no disk is filled."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def assert_whole(out: Path) -> None:
    """Check that every file in `out` is one that its reader takes, and none is half of one."""
    for path in (path for path in out.rglob("*") if path.is_file()):
        assert ".part" not in path.name, path
        assert path.name != ".relmask.lock"
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix in (".png", ".jpg"):
            with Image.open(path) as image:
                image.load()
        elif path.suffix in (".csv", ".html", ".xml"):
            assert path.read_text(encoding="utf-8")[-2:].strip() in (">", "") or path.suffix == ".csv"
    assert not [path for path in out.rglob(".*") if path.suffix in (".part", ".old")]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for number in range(6):
        picture(tmp_path / f"in/{number}.png", pit=number % 2 == 0, size=(40, 30))
    return tmp_path / "in"


@pytest.fixture
def fake(tmp_path: Path) -> FakeRun:
    run = FakeRun(tmp_path / "run")
    run.path.mkdir()
    (run.path / "relmask.json").write_text("{}")
    (run.path / "model.safetensors").write_bytes(b"weights")
    return run


def refuse_until_there_is_room(command: Command, out: Path) -> None:
    """Check a command with ever more room; what a full disk stopped goes on, in the same OUT."""
    said = []
    for limit in LIMITS:
        try:
            with files_of_at_most(limit):
                command(out)
        except OutError as error:
            said.append(str(error))
        assert_whole(out)
    assert said, "everything that was written fitted"
    assert all("Cannot write" in line and "run the same command again" in line for line in said)
    command(out)
    assert_whole(out)


def test_segment_goes_on_after_a_full_disk(fake: FakeRun, pictures: Path, tmp_path: Path) -> None:
    refuse_until_there_is_room(
        lambda out: segment_files(fake, [pictures], out, relevance=True, batch_size=1), tmp_path / "out"
    )
    assert len(list((tmp_path / "out/masks").glob("*.png"))) == 6


@pytest.mark.parametrize("name", FORMATS)
def test_convert_leaves_a_format_as_it_was(fake: FakeRun, pictures: Path, tmp_path: Path, name: str) -> None:
    segment_files(fake, [pictures], tmp_path / "masks")
    refuse_until_there_is_room(lambda out: convert_files(tmp_path / "masks", [name], out), tmp_path / "out")


def test_explain_says_that_the_disk_is_full(trained: Run, parts: Path, tmp_path: Path) -> None:
    some = sorted((parts / "images").iterdir())[:2]
    refuse_until_there_is_room(lambda out: explain_files(trained, some, out), tmp_path / "out")


def test_evaluate_says_that_the_disk_is_full(
    trained: Run, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = read_index(parts)
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    refuse_until_there_is_room(
        lambda out: evaluate_index(trained, index, "test", out, controls=CONTROLS[:1]), tmp_path / "out"
    )
    assert not list((tmp_path / "scratch").iterdir())


def test_patches_go_on_after_a_full_disk(parts: Path, tmp_path: Path) -> None:
    refuse_until_there_is_room(lambda out: cut_patches(parts, out, 32), tmp_path / "out")


def test_synthetic_parts_are_whole(tmp_path: Path) -> None:
    refuse_until_there_is_room(lambda out: write_surfaces(out, images=3, size=160), tmp_path / "out")


def test_a_training_goes_on_after_a_full_disk(parts: Path, narrow_weights: Path, tmp_path: Path) -> None:
    def small(out: Path) -> Run:
        return train(
            parts,
            out,
            backbone="vgg-narrow",
            weights=narrow_weights,
            size=32,
            epochs=1,
            false_alarms=0.4,
            resume=True,
            effort=LITTLE,
        )

    refuse_until_there_is_room(small, tmp_path / "out")
    straight = small(tmp_path / "straight").path
    name = "model.safetensors"
    assert (tmp_path / "out" / name).read_bytes() == (straight / name).read_bytes()


def test_a_comparison_goes_on_after_a_full_disk(parts: Path, tmp_path: Path) -> None:
    fast: dict[str, Any] = {
        "backbone": "vgg-narrow",
        "size": 32,
        "epochs": 1,
        "batch_size": 4,
        "effort": LITTLE,
    }
    refuse_until_there_is_room(
        lambda out: compare(parts, out, ["darkness"], false_alarms=0.4, **fast), tmp_path / "out"
    )


def test_the_command_line_exits_with_3(
    fake: FakeRun, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relmask, "load", lambda path, **options: fake, raising=False)
    with files_of_at_most(500):
        result = CliRunner().invoke(app, ["segment", "run", str(pictures), "-o", str(tmp_path / "out"), "-q"])
    assert result.exit_code == 3
    assert result.stderr.startswith("relmask: Cannot write ")
    assert result.stdout == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_results_that_cannot_be_printed_are_told(parts: Path) -> None:
    command = [sys.executable, "-m", "relmask", "data", str(parts), "-q"]
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 3
    (line,) = result.stderr.splitlines()
    assert line.startswith("relmask: Cannot write to stdout: the disk is full. Free some space")


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Makes a disk of so many bytes; skips where only an administrator may."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(size: int) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting a disk is not allowed here")
        return place

    with suppress(FileNotFoundError):
        yield mount
        while os.path.ismount(place):
            subprocess.run(["umount", str(place)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs")
@pytest.mark.parametrize("size", [8_192, 16_384, 32_768, 65_536])
def test_a_real_disk_that_fills_up(
    fake: FakeRun, pictures: Path, tiny_disk: Callable[[int], Path], size: int
) -> None:
    out = tiny_disk(size) / "out"
    with pytest.raises(OutError, match="the disk is full"):
        segment_files(fake, [pictures], out, formats=[*FORMATS], relevance=True)
    assert_whole(out)
    tiny_disk(10_000_000)
