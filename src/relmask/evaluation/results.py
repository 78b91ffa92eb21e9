"""Files that `evaluate` leaves in OUT: metrics.json, images.csv, curves.json, worst/ and report.html."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from relmask.evaluation.cases import WORST, write_worst
from relmask.evaluation.measure import Measured
from relmask.evaluation.metrics import ImageOutcome, Metrics, Tally, f1, f1_tolerant, iou
from relmask.evaluation.pages import sections, thinned
from relmask.evaluation.ranking import Curve, Ranking
from relmask.files import write_csv, write_json
from relmask.out import Contents, clear
from relmask.report import Section, write_report

CONTENTS = Contents(
    "an evaluation",
    "evaluate.json",
    ("metrics.json", "images.csv", "curves.json", "report.html", f"{WORST}/*.png"),
)


def write_results(
    out: Path,
    metrics: Metrics,
    measured: Measured,
    *,
    title: str = "Evaluation",
    more: Sequence[Section] = (),
    gate: float | None = None,
    about: str = "",
) -> None:
    """Write all files in place of those of an earlier evaluation.

    metrics.json is the last, so that where it is, the others are.

    Args:
        out: folder of the results; it is made.
        metrics: figures to write.
        measured: images and sums that the figures come from.
        title: title of the report.
        more: sections to put behind the pictures, such as controls.
        gate: score that a defect must have, if there is one for all classes.
        about: line under the title.

    Raises:
        OutError: the folder cannot be written.
    """
    tally, cases = measured.tally, measured.cases
    clear(out, CONTENTS)
    write_images(out / "images.csv", tally)
    write_json(out / "curves.json", curves(tally))
    write_worst(cases, out / WORST)
    write_report(out / "report.html", title, sections(metrics, measured, more, gate), about=about)
    write_json(out / "metrics.json", metrics.model_dump(mode="json"))


def write_images(path: Path, tally: Tally) -> None:
    """One line an image: what it is, what it was called, and how well its mask fits."""
    figures = ("true_px", "mask_px", "iou", "f1", "f1_tol2")
    columns = ("image", "group", "labels", "called", "score", *figures)
    rows = (_line(outcome, tally.classes) for outcome in tally.outcomes)
    write_csv(path, (*columns, *(f"score_{name}" for name in tally.classes)), rows)


def _line(outcome: ImageOutcome, classes: Sequence[str]) -> list[object]:
    counts = np.array(outcome.any_defect)
    shares = [
        "" if np.isnan(share) else f"{share:.4f}" for share in (iou(counts), f1(counts), f1_tolerant(counts))
    ]
    pixels = (outcome.any_defect.true, outcome.any_defect.predicted) if outcome.masked else ("", "")
    scores = [f"{outcome.scores[name]:.6f}" if name in outcome.scores else "" for name in classes]
    labels, called = "|".join(sorted(outcome.labels)), "defect" if outcome.called else "clean"
    return [outcome.name, outcome.group, labels, called, f"{outcome.score:.6f}", *pixels, *shares, *scores]


def curves(tally: Tally) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Points of the curves, thinned: for any defect and for each class."""
    rankings = {"any defect": tally.ranking, **tally.class_rankings}
    return {name: _curves(ranking) for name, ranking in rankings.items() if ranking.regions}


def _curves(ranking: Ranking) -> dict[str, dict[str, list[float]]]:
    return {
        "precision_recall": _points(ranking.precision_recall(), "recall", "precision"),
        "region_overlap": _points(ranking.region_overlap().up_to(0.05), "false_positive_rate", "overlap"),
    }


def _points(curve: Curve, x: str, y: str) -> dict[str, list[float]]:
    thin = thinned(curve)
    return {x: thin.x.round(6).tolist(), y: thin.y.round(6).tolist()}
