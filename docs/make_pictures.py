"""Make the README's picture from the folder that `relmask demo` wrote.

python docs/make_pictures.py demo
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import relmask
from relmask.data.index import read_index
from relmask.data.truth import read_truth
from relmask.report import overlay, painted, panel


def main(demo: Path, out: Path) -> None:
    """The first test picture of each kind: picture, relevance, mask found, true mask."""
    run, index = relmask.load(demo / "run"), read_index(demo / "data")
    rows = []
    for kind in (*index.classes, None):
        labels = frozenset({kind} if kind else ())
        sample = next(sample for sample in index.part("test") if sample.labels == labels)
        picture = run.read(sample.path)
        found = run.segment(picture)
        limit = float(found.relevance.max()) / 4 if found.relevance is not None else 1.0
        rows.append(
            panel(
                [
                    np.round(picture * 255).astype(np.uint8),
                    overlay(picture, found.relevance, limit),
                    painted(picture, found.mask),
                    painted(picture, read_truth(sample, index)),
                ]
            )
        )
    out.parent.mkdir(exist_ok=True)
    Image.fromarray(np.concatenate(rows)).save(out, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parent / "pictures" / "demo.png")
