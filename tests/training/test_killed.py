"""SIGKILL, which nothing can catch, at moments that nobody chose."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

KILLS = 8
PROGRAM = """
import os, random, signal, sys, time
from pathlib import Path
from relmask.training.train import train
from tests.effort import LITTLE

data, weights, folder, kills = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])

def small(out, progress):
    train(data, out, backbone="vgg-narrow", weights=weights, size=32, epochs=3, false_alarms=0.4, resume=True,
          progress=progress, effort=LITTLE)

steps = []
small(folder / "straight", lambda *step: steps.append(step))
chance = random.Random(0)
for _ in range(kills):
    listening, telling = os.pipe()
    child = os.fork()
    if not child:
        small(folder / "killed", lambda *step: os.write(telling, b"."))
        os._exit(0)
    os.close(telling)
    for _ in range(chance.randrange(len(steps))):
        os.read(listening, 1)
    time.sleep(chance.uniform(0, 0.03))
    os.kill(child, signal.SIGKILL)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    os.close(listening)
small(folder / "killed", lambda *step: None)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here")
def test_a_training_that_is_killed_again_and_again_ends_as_one_that_was_not(
    parts: Path, narrow_weights: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", PROGRAM, str(parts), str(narrow_weights), str(tmp_path), str(KILLS)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert result.returncode == 0, result.stderr
    assert result.stdout.split().count("-9") >= KILLS / 2, "most were still at work"
    killed, straight = tmp_path / "killed", tmp_path / "straight"
    files = sorted(path.relative_to(straight) for path in straight.rglob("*"))
    assert sorted(path.relative_to(killed) for path in killed.rglob("*")) == files
    for name in ("model.safetensors", "history.csv", "split.csv", "scores.csv", "training.json"):
        assert (killed / name).read_bytes() == (straight / name).read_bytes()
    assert json.loads((killed / "relmask.json").read_text()) == json.loads(
        (straight / "relmask.json").read_text()
    )
