"""The command line in a pseudo-terminal and in a log file."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from relmask.inference.run import Run
from tests.cli.terminal import CTRL_C, Terminal


@pytest.fixture
def many(parts: Path, tmp_path: Path) -> Path:
    """More pictures than are done before a test stops."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(20):
        for picture in (parts / "images").iterdir():
            os.link(picture, folder / f"{number}-{picture.name}")
    return folder


def unfinished(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if ".part" in path.name]


def logged(*arguments: str | Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "relmask", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_relmask_alone_fits_its_terminal(columns: int) -> None:
    terminal = Terminal.relmask(columns=columns)
    assert terminal.finish() == 0
    lines = terminal.text.splitlines()
    assert "Start here:" in lines
    prose = [line for line in lines if not line.startswith("    relmask ")]
    assert max(map(len, prose)) <= min(columns, 100)


def test_an_error_says_what_to_do_and_goes_to_stderr(tmp_path: Path) -> None:
    process = logged("data", tmp_path / "none")
    out, err = process.communicate()
    assert process.returncode == 3
    assert out == b""
    assert err.startswith(b"relmask: ")
    assert b"\x1b" not in err


def test_a_terminal_shows_a_bar_and_a_log_file_lines(trained: Run, parts: Path, tmp_path: Path) -> None:
    pictures = sorted((parts / "images").iterdir())[:6]
    terminal = Terminal.relmask("segment", trained.path, *pictures, "-o", tmp_path / "seen")
    assert terminal.finish() == 0
    assert b"\x1b[?25h" in terminal.written.rpartition(b"\x1b[?25l")[2], "the cursor comes back"
    assert "6/6" in terminal.text
    assert "6 pictures: " in terminal.text

    process = logged("segment", trained.path, *pictures, "-o", tmp_path / "logged")
    out, err = process.communicate()
    assert process.returncode == 0
    assert out.startswith(b"6 pictures: ")
    first, *_, last = err.decode().splitlines()
    assert first == "segment 0/6"
    assert last.startswith("segment 6/6, ")
    assert last.endswith("/s")
    assert not {b"\x1b", b"\r", b"\b"} & {bytes([byte]) for byte in out + err}


def test_quiet_is_silent_on_stderr(parts: Path) -> None:
    process = logged("data", parts, "--quiet")
    out, err = process.communicate()
    assert process.returncode == 0
    assert b"64 pictures" in out
    assert err == b""


def test_ctrl_c_in_segment_leaves_whole_files_and_says_how_to_go_on(
    trained: Run, many: Path, tmp_path: Path
) -> None:
    arguments = ("segment", trained.path, many, "-o", tmp_path / "out", "--batch-size", "1")
    terminal = Terminal.relmask(*arguments)
    terminal.wait_for(r"[1-9]\d*/1280")
    terminal.send(CTRL_C)
    assert terminal.finish() == 130
    assert "relmask: interrupted. The same command continues where this one stopped." in terminal.text
    assert "Traceback" not in terminal.text
    assert terminal.written.rpartition(b"\x1b[?25l")[2].count(b"\x1b[?25h") == 1
    assert unfinished(tmp_path) == []
    with (tmp_path / "out" / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert 0 < len(rows) < 1280
    for row in rows:
        with Image.open(tmp_path / "out" / row["mask"]) as mask:
            mask.load()
    again = Terminal.relmask(*arguments)
    again.wait_for(r"(\d+)/1280")
    again.send(CTRL_C)
    again.finish()
    with (tmp_path / "out" / "results.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) >= len(rows)


def test_ctrl_c_in_train_names_resume_and_leaves_nothing_half_written(parts: Path, tmp_path: Path) -> None:
    terminal = Terminal.relmask("train", parts, "-o", tmp_path / "run", "--backbone", "vgg-narrow")
    terminal.wait_for(r"epoch|reading|training")
    terminal.send(CTRL_C)
    assert terminal.finish() == 130
    assert "relmask: interrupted. The same command with --resume continues" in terminal.text
    assert "Traceback" not in terminal.text
    assert unfinished(tmp_path) == []
    assert not (tmp_path / "run" / "relmask.json").exists()


def test_sigterm_stops_as_ctrl_c_does(trained: Run, many: Path, tmp_path: Path) -> None:
    process = logged("segment", trained.path, many, "-o", tmp_path / "out", "--batch-size", "1")
    assert process.stderr
    assert process.stderr.readline() == b"segment 0/1280\n"
    process.terminate()
    _, err = process.communicate()
    assert process.returncode == 143
    assert err == b"relmask: interrupted. The same command continues where this one stopped.\n"
    assert unfinished(tmp_path) == []
    assert (tmp_path / "out" / "results.csv").exists()
