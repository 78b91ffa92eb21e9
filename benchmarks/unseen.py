"""How many pictures of a kind of defect that training never saw are called unsure, at 1 % of clean ones.

    python benchmarks/unseen.py ../shared/data/magnetic-tile -o runs/unseen

Each class in turn is left out of training and validation. One JSON line a class: the share of its pictures,
of the clean test pictures, and of the other defects in test that are beyond the limit, which labels alone
chose, and the AUROC of novelty. Features are frozen, so novelty does not depend on how long the head is
trained: one epoch.
"""

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import relmask
from relmask.data.index import Sample, read_index
from relmask.files import write_csv
from relmask.inference.run import Run
from relmask.ranking import auroc


def without(samples: Sequence[Sample], label: str, path: Path) -> Path:
    """DATA in which no picture has the label, with the same split."""
    rows = [
        (sample.path.resolve(), "|".join(sorted(sample.labels)) or "ok", sample.group, sample.split)
        for sample in samples
        if label not in sample.labels
    ]
    write_csv(path, ("image", "label", "group", "split"), rows)
    return path


def novelty(run: Run, samples: Sequence[Sample]) -> np.ndarray:
    """Of each picture (N,)."""
    found = []
    for sample in samples:
        values = run.model.predict(run.model.cut(run.read(sample.path))[0]).image_novelty
        assert values is not None, "the run has no memory"
        found.append(float(values.max()))
    return np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="DATA with a split and a clean class")
    parser.add_argument("-o", "--out", type=Path, default=Path("runs/unseen"))
    parser.add_argument("--label", action="append", help="class to leave out, may be given several times")
    given = parser.parse_args()
    index = read_index(given.data)
    for label in given.label or index.classes:
        out = given.out / label
        shutil.rmtree(out, ignore_errors=True)
        data = without(index.samples, label, out / "index.csv")
        run = relmask.train(data, out / "run", epochs=1)
        unseen = novelty(run, [sample for sample in index.samples if label in sample.labels])
        test = [sample for sample in index.part("test") if label not in sample.labels]
        clean = novelty(run, [sample for sample in test if not sample.labels])
        others = novelty(run, [sample for sample in test if sample.labels])
        scores, positive = np.concatenate([unseen, clean]), np.arange(len(unseen) + len(clean)) < len(unseen)
        figures = {
            "left_out": label,
            "pictures": len(unseen),
            "flagged": round(float((unseen > 1).mean()), 4),
            "clean_flagged": round(float((clean > 1).mean()), 4),
            "known_defects_flagged": round(float((others > 1).mean()), 4),
            "auroc": auroc(scores, positive),
        }
        print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
