"""Figures, curves and cases as sections of a report; training and the demo put them beside their own."""

from collections.abc import Mapping, Sequence

import numpy as np

from relmask.evaluation.cases import Cases, full_colour
from relmask.evaluation.measure import Measured
from relmask.evaluation.metrics import Interval, Metrics, PixelScores, Tally
from relmask.evaluation.ranking import Curve
from relmask.report import (
    Line,
    Section,
    cards,
    charts,
    confusion,
    curves,
    gallery,
    histogram,
    how_to_read,
    table,
    text,
)
from relmask.report.html import Cell
from relmask.words import counted

POINTS = 200  # of a curve


def sections(
    metrics: Metrics, measured: Measured, more: Sequence[Section] = (), gate: float | None = None
) -> list[Section]:
    """All sections about one evaluation.

    Args:
        metrics: figures of the evaluation.
        measured: images and sums that the figures come from.
        more: sections to put behind the pictures.
        gate: score that a defect must have, if there is one for all classes.
    """
    tally = measured.tally
    return [
        *warnings(metrics, measured),
        summary(metrics),
        per_class(metrics),
        figures(tally, gate),
        *([confusion(tally.outcomes, tally.classes)] if tally.classes else []),
        *pictures(measured.cases, tally.classes),
        *more,
    ]


def warnings(metrics: Metrics, measured: Measured) -> list[Section]:
    """Warnings that a reader needs before the figures."""
    found = []
    if not metrics.grouped:
        found.append(
            "Leaky: pictures of the same part may lie in training and in this part, every figure is too good."
        )
    if metrics.threshold.saw_masks:
        found.append("True masks helped to train this run or to choose its thresholds.")
    if metrics.groups < 10:
        found.append(
            f"Only {counted(metrics.groups, 'group')}: the figures may be far off, see the intervals."
        )
    if unmasked := sum(not outcome.masked for outcome in measured.tally.outcomes):
        found.append(
            f"{unmasked} defective pictures have no true mask: they count in figures of whole pictures only."
        )
    if measured.failed:
        reasons = [*measured.failed.values()][:5] + ["..."] * (len(measured.failed) > 5)
        found.append(f"{len(measured.failed)} pictures are left out: " + "; ".join(reasons))
    return [text("Read this first", *found, warning=True)] if found else []


def summary(metrics: Metrics) -> Section:
    """The figures that matter, large."""
    pixel, ci = metrics.pixel, metrics.ci95
    return cards(
        f"On {metrics.images} pictures of the {metrics.split} split",
        {
            "F1 within 2 px": (pixel.f1_tol2, _interval(ci.f1_tol2)),
            "F1, exact": (pixel.f1, _interval(ci.f1)),
            "IoU": (pixel.iou, _interval(ci.iou)),
            "Clean, no mask": (metrics.clean.empty_share, _interval(ci.empty_share)),
            "Picture AUROC": (metrics.image.auroc, _interval(ci.auroc)),
            "Defective, above a gate": (metrics.image.recall_at_gate, _interval(ci.recall_at_gate)),
            "Relevance peaks on defect": (metrics.image.peak_on_defect, _interval(ci.peak_on_defect)),
            "Seconds a picture": (metrics.seconds_per_image, ""),
        },
        note=f"{metrics.groups} groups, {metrics.clean.images} clean pictures. "
        "Under each figure its 95 % interval, by a bootstrap over groups.",
    )


def per_class(metrics: Metrics) -> Section:
    """Every figure of every class."""
    columns = ("class", "IoU", "95 %", "F1", "precision", "recall", "F1 2 px", "AP", "AUPRO", "AUROC")
    rows: list[Sequence[Cell]] = [
        _row(name, scores, metrics.ci95.per_class.get(name), metrics.image.per_class.get(name))
        for name, scores in metrics.per_class.items()
    ]
    rows.append(_row("any defect", metrics.pixel, metrics.ci95.iou, metrics.image.auroc))
    note = (
        "Pooled over all pictures, clean ones included. 95 %: interval of the IoU. A dash: not defined in "
        "this split. AP and AUPRO rank pixels by relevance, AUROC ranks pictures by score."
    )
    return table("Per class", columns, rows, note=note, strong=len(rows) - 1)


def figures(tally: Tally, gate: float | None) -> Section:
    """Precision-recall, per-region overlap and the scores of clean and defective pictures."""
    pr, pro = tally.ranking.precision_recall(), tally.ranking.region_overlap()
    return charts(
        "Curves",
        {
            "Score of each picture": histogram(tally.outcomes, gate),
            "Pixels, over all thresholds": curves(
                [_line("any defect", pr)],
                x_label="recall",
                y_label="precision",
                x_range=(0, 1),
                y_range=(0, 1),
            ),
            "Regions found, over all thresholds": curves(
                [_line("any defect", pro.up_to(0.05))],
                x_label="false-positive rate of pixels",
                y_label="region overlap",
                x_range=(0, 0.05),
                y_range=(0, 1),
            ),
        },
    )


def pictures(cases: Cases, classes: Sequence[str]) -> list[Section]:
    """The worst cases, then a fair sample."""
    full = full_colour(cases)
    found = [how_to_read(classes, full)]
    if cases.worst:
        worst = [case.picture(full) for case in cases.worst]
        found.append(gallery("Worst cases", worst, note="By F1 at 2 px. All pictures are in images.csv."))
    if cases.sample:
        found.append(gallery("A random sample of the others", [case.picture(full) for case in cases.sample]))
    return found


def controls(metrics: Metrics, others: Mapping[str, PixelScores]) -> Section:
    """Scores that know nothing of the defect, beside those of the run."""
    columns = ("method", "threshold", "F1 2 px", "F1", "IoU", "precision", "recall", "AP")
    chosen = "saw true masks" if metrics.threshold.saw_masks else "from labels alone"
    rows = [("relmask", chosen, *_some(metrics.pixel))]
    rows += [(name, "best on these images", *_some(scores)) for name, scores in others.items()]
    note = "A control is given the threshold that is best on these very images; relmask is not."
    return table("What the masks must beat", columns, rows, note=note, strong=0)


def thinned(curve: Curve) -> Curve:
    """At most about POINTS points of a curve, evenly along its length, ends kept."""
    if len(curve.x) <= POINTS:
        return curve
    length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(curve.x), np.diff(curve.y)))])
    at = np.unique(np.searchsorted(length, np.linspace(0, length[-1], POINTS)).clip(0, len(curve.x) - 1))
    return Curve(curve.x[at], curve.y[at])


def _line(name: str, curve: Curve) -> Line:
    thin = thinned(curve)
    return Line(name, thin.x.tolist(), thin.y.tolist())


def _row(name: str, scores: PixelScores, interval: Interval, auroc: float | None) -> tuple[Cell, ...]:
    figures = (scores.f1, scores.precision, scores.recall, scores.f1_tol2, scores.ap, scores.aupro, auroc)
    return (name, scores.iou, _interval(interval), *figures)


def _some(scores: PixelScores) -> tuple[Cell, ...]:
    return (scores.f1_tol2, scores.f1, scores.iou, scores.precision, scores.recall, scores.ap)


def _interval(value: Interval) -> str:
    return "" if value is None else f"{value[0]:.2f} to {value[1]:.2f}"
