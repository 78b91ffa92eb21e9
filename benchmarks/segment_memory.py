"""Resident memory of `segment` after 1,000 and 10,000 files: it must not grow with their number.

    python benchmarks/segment_memory.py [RUN]

Without a RUN, a small one is trained on synthetic surfaces. Prints one JSON line a figure.
"""

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import relmask
from relmask.synthetic.surfaces import write_surfaces

FILES = 10_000
MARKS = (1_000, 10_000)


def resident() -> float:
    """Resident memory of this process in MiB (Linux)."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) / 1024


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_surfaces(folder / "data", images=60, size=64)
        run = (
            relmask.load(sys.argv[1])
            if sys.argv[1:]
            else relmask.train(folder / "data", folder / "run", epochs=1, size=64)
        )
        originals = sorted((folder / "data" / "images").iterdir())
        (folder / "in").mkdir()
        for number in range(FILES):
            shutil.copy(originals[number % len(originals)], folder / "in" / f"{number:05}.jpg")
        begin = time.monotonic()
        left = list(MARKS)

        def note(task: str, done: int, total: int, note: str = "") -> None:
            while left and done >= left[0]:
                seconds = time.monotonic() - begin
                figure = {
                    "files": left.pop(0),
                    "resident_mib": round(resident(), 1),
                    "seconds": round(seconds, 1),
                }
                print(json.dumps(figure), flush=True)

        relmask.segment_files(run, [folder / "in"], folder / "out", progress=note)


if __name__ == "__main__":
    main()
