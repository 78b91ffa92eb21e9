import os
import subprocess
import sys
from pathlib import Path

import pytest

from relmask.inference.run import Run

if not hasattr(os, "fork"):
    pytest.skip("nothing is forked here", allow_module_level=True)

PROGRAM = """
import os, sys, threading
import torch
import relmask
from relmask.errors import ForkError

path, picture, uses, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
torch.set_num_threads(threads)
run = relmask.load(path)
if not uses:
    run.segment(picture)
users = [threading.Thread(target=run.segment, args=(picture,)) for _ in range(uses)]
for user in users:
    user.start()
for user in users:
    user.join()
if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
try:
    print(run.segment(picture).score, flush=True)
except ForkError as error:
    print(error, flush=True)
os._exit(0)
"""


def said_in_a_child(run: Run, picture: Path, *, uses: int, threads: int = 2) -> str:
    """What a forked child says of a picture after so many threads of its parent, or none but the one that
    forks, had looked at it."""
    command = [sys.executable, "-c", PROGRAM, str(run.path), str(picture), str(uses), str(threads)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=120
    ).stdout


@pytest.mark.parametrize(("uses", "threads"), [(0, 2), (2, 1)])
def test_a_forked_child_segments_as_its_parent_would(
    trained: Run, parts: Path, uses: int, threads: int
) -> None:
    picture = parts / "images" / "0000a.jpg"
    said = said_in_a_child(trained, picture, uses=uses, threads=threads)
    assert float(said) == pytest.approx(trained.segment(picture).score, abs=1e-4)


@pytest.mark.parametrize("uses", [1, 2])
def test_a_child_that_could_wait_forever_says_so(trained: Run, parts: Path, uses: int) -> None:
    said = said_in_a_child(trained, parts / "images" / "0000a.jpg", uses=uses)
    assert "another thread had used relmask" in said
    assert "spawn" in said
