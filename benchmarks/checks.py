"""What `relmask check` says of a run, and of masks that are no evidence: it must tell them apart.

    python benchmarks/checks.py RUN DATA

The run's own masks, those of flat rules in all layers, of a head that was never trained, and the strongest
edges of the picture. Every figure is printed as one JSON line; `added` is the share of the masks' area that
plain relevance does not cover, `fall` what inpainting a mask takes from the score, in logits, and
`fall_of_copies` the same of copies of the mask that were moved elsewhere; `verdict` says which tests failed.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import sobel

import relmask
from relmask.checks import check
from relmask.evaluation.controls import untrained
from relmask.inference.run import Run
from relmask.lrp.composites import Composite, kind
from relmask.lrp.rules import Flat

FLAT = Composite("flat", ((kind("convolution"), Flat()), (kind("linear"), Flat())))


def edges(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The twentieth of the pixels with the steepest grey."""
    grey = image.mean(-1)
    strength = np.hypot(sobel(grey, 0), sobel(grey, 1))
    steepest: NDArray[np.bool_] = strength > np.quantile(strength, 0.95)
    return steepest


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("data", type=Path, metavar="DATA")
    arguments = parser.parse_args()
    run = relmask.load(arguments.run)
    flat = run.classifier.with_composite(FLAT)
    for name, judged, draw in (
        ("run", run, None),
        ("flat", Run(run.path, run.metadata, flat), None),
        ("random-head", Run(run.path, run.metadata, untrained(run.classifier)), None),
        ("edges", run, edges),
    ):
        found = check(judged, arguments.data, draw=draw)
        figures = {finding.name: finding.figure for finding in found.findings}
        if found.areas:
            added = sum(area.added for area in found.areas)
            figures["added"] = added / sum(area.mask for area in found.areas)
        if found.deletion:
            figures["fall"] = float(np.mean([one.score - one.without_mask for one in found.deletion]))
            figures["fall_of_copies"] = float(
                np.mean([one.score - np.mean(one.without_copies) for one in found.deletion])
            )
        for figure, value in {**figures, "passed": found.passed, "verdict": found.verdict}.items():
            print(json.dumps({"masks": name, "figure": figure, "value": value}), flush=True)


if __name__ == "__main__":
    main()
