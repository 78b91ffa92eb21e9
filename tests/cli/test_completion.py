"""Shell completion, as a shell asks for it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import relmask
from tests.cli.terminal import Terminal


def completions(*words: str) -> list[str]:
    """What bash would offer for the last word."""
    asked = {
        "_RELMASK_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    found = subprocess.run(
        [sys.executable, "-m", "relmask"],
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout.split()


def test_commands_options_and_their_values_are_completed() -> None:
    assert completions("relmask", "ev") == ["evaluate"]
    assert "--false-alarms" in completions("relmask", "train", "--fa")
    assert completions("relmask", "train", "parts", "--backbone", "resnet") == [
        "resnet18",
        "resnet34",
        "resnet50",
    ]
    assert completions("relmask", "explain", "--composite", "epsilon_plus") == [
        "epsilon_plus",
        "epsilon_plus_flat",
    ]
    assert completions("relmask", "segment", "--device", "cu") == ["cuda"]


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
def test_bash_completes_commands_and_paths(tmp_path: Path) -> None:
    (tmp_path / "relmask").write_text(f'#!/bin/sh\nexec {sys.executable} -m relmask "$@"\n')
    (tmp_path / "relmask").chmod(0o755)
    (tmp_path / "pictures-of-parts").mkdir()
    terminal = Terminal(
        ("bash", "--norc", "--noprofile", "-i"),
        environment={
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "PYTHONPATH": str(Path(relmask.__file__).parents[1]),
            "PS1": "ready> ",
            "HOME": str(tmp_path),
        },
    )
    terminal.wait_for("ready> ")
    terminal.send(
        f"cd {tmp_path}; eval \"$(_RELMASK_COMPLETE=source_bash relmask)\"; echo so''urced\n".encode()
    )
    terminal.wait_for("sourced\n")
    terminal.send(b"relmask cali\t")
    terminal.wait_for("relmask calibrate ")
    terminal.send(b"run pict\t")
    terminal.wait_for("run pictures-of-parts")
    terminal.send(b"\x15exit\n")
    assert terminal.finish() == 0
