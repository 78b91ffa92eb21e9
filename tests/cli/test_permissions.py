"""Folders that may only be read, or not even that; where tests run as root, commands have no rights."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from relmask.inference.run import Run

ROOT = os.geteuid() == 0
SOMEBODY = 65534
_WITHOUT_RIGHTS = """
import ctypes, os, sys
for right in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: to write and read what its mode forbids
    ctypes.CDLL(None).prctl(24, right, 0, 0, 0)  # PR_CAPBSET_DROP
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""

if ROOT and sys.platform != "linux":
    pytest.skip("root may do everything here", allow_module_level=True)


@pytest.fixture
def run(trained: Run, tmp_path: Path) -> Iterator[Path]:
    """A run that may only be read."""
    folder = tmp_path / "run"
    shutil.copytree(trained.path, folder)
    places = [folder, *folder.rglob("*")]
    for path in places:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder
    for path in places:
        path.chmod(0o755)


def command_line(*arguments: object) -> list[str]:
    """A command as a user without rights gives it."""
    words = ["-m", "relmask", *map(str, arguments)]
    return [sys.executable, *(["-c", _WITHOUT_RIGHTS] if ROOT else []), *words]


def relmask(*arguments: object) -> subprocess.CompletedProcess[str]:
    """What a command says to a user without rights."""
    return subprocess.run(command_line(*arguments), capture_output=True, text=True, timeout=300)


def test_a_run_that_may_only_be_read_segments_explains_and_is_evaluated(
    run: Path, parts: Path, tmp_path: Path
) -> None:
    pictures = sorted((parts / "images").iterdir())[:2]
    for command in (
        ("segment", run, *pictures, "-o", tmp_path / "masks", "-q"),
        ("explain", run, *pictures, "-o", tmp_path / "heatmaps", "-q"),
        ("evaluate", run, parts, "-o", tmp_path / "evaluation", "-q"),
    ):
        result = relmask(*command)
        assert (result.returncode, result.stderr) == (0, ""), command[0]


def test_a_run_that_may_only_be_read_is_served(run: Path) -> None:
    serving = subprocess.Popen(
        command_line("serve", run, "--port", "0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with serving:
        assert serving.stdout
        line = serving.stdout.readline()
        serving.terminate()
    assert line.startswith(f"Serving {run} at http://127.0.0.1:")


def test_the_check_of_a_run_that_may_only_be_read_is_told_but_not_kept(run: Path, parts: Path) -> None:
    result = relmask("check", run, parts, "-q", "--pictures", "1")
    assert "of what the classifier learned." in result.stdout
    assert "warning: The result is not kept. Cannot write" in result.stderr
    assert "Name a file for it with -o." in result.stderr
    assert not (run / "check.json").exists()


def test_thresholds_of_a_run_that_may_only_be_read_stay_and_that_is_told_at_once(
    run: Path, parts: Path
) -> None:
    result = relmask("calibrate", run, parts)
    assert result.returncode == 3
    assert result.stderr.startswith(f"relmask: Cannot write {run}: no permission.")
    assert result.stdout == ""


@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_an_out_of_another_user_is_refused(run: Path, parts: Path, tmp_path: Path, mode: int) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    if ROOT:
        os.chown(theirs, SOMEBODY, SOMEBODY)
    theirs.chmod(mode if ROOT else 0o500)
    for command in (("segment", run, parts), ("patches", parts, "--size", "32"), ("train", parts)):
        result = relmask(*command, "-o", theirs, "-q")
        assert result.returncode == 3, command[0]
        assert "Cannot" in result.stderr
        assert "Choose another folder" in result.stderr
        assert "Traceback" not in result.stderr


@pytest.mark.parametrize("place", ["run", "data", "picture"])
def test_what_may_not_be_read_is_told(trained: Run, parts: Path, tmp_path: Path, place: str) -> None:
    shutil.copytree(trained.path, tmp_path / "run")
    shutil.copytree(parts / "images", tmp_path / "data")
    hidden = tmp_path / place
    if place == "picture":
        hidden = next((tmp_path / "data").iterdir())
    hidden.chmod(0)
    if ROOT:
        os.chown(hidden, SOMEBODY, SOMEBODY)
    result = relmask("segment", tmp_path / "run", tmp_path / "data", "-o", tmp_path / "out", "-q")
    hidden.chmod(0o755)
    assert result.returncode == (1 if place == "picture" else 3)
    assert str(hidden) in result.stderr
    assert "ermi" in result.stderr
    assert "Traceback" not in result.stderr
