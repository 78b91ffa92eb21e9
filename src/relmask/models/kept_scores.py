"""The scores that a run keeps: what its gates were chosen from, so that gates can be chosen anew."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from relmask.data.index import label_text
from relmask.data.layouts import split_labels
from relmask.errors import RunError
from relmask.files import write_csv
from relmask.masks.gates import Scores

SCORES = "scores.csv"
COLUMNS = ("name", "labels", "group", "source")
LOGIT = "logit_"
"""Beginning of the column with the logits of a class."""

Source = Literal["validation", "cross-fitted", "training", "new"]
"""Where a score comes from: a picture of validation; one of training, judged by a head that never saw its
group; one of training, judged by the run as if it were new; one of other data."""
SOURCES: Mapping[str, Source] = {source: source for source in get_args(Source)}


@dataclass(frozen=True)
class KeptScores:
    """Scores, and the pictures that they are of.

    Attributes:
        scores: logits, targets and groups of N pictures.
        names: (N,) names of the pictures in their DATA.
        sources: (N,) where each score comes from.
    """

    scores: Scores
    names: Sequence[str]
    sources: Sequence[Source]


def write_scores(run: Path, kept: KeptScores, classes: Sequence[str]) -> None:
    """Write scores.csv: name, labels (joined by `|`, empty = clean), group, source, and a logit a class.

    Raises:
        OutError: it cannot be written.
    """
    known = np.array(classes, dtype=object)
    rows = [
        (name, label_text(known[targets].tolist()), group, source, *logits)
        for name, targets, group, source, logits in zip(
            kept.names,
            kept.scores.targets,
            kept.scores.groups,
            kept.sources,
            kept.scores.logits.tolist(),
            strict=True,
        )
    ]
    write_csv(run / SCORES, (*COLUMNS, *(LOGIT + name for name in classes)), rows)


def read_scores(run: Path, classes: Sequence[str]) -> KeptScores:
    """The scores of a run with these classes.

    Raises:
        RunError: the run keeps none, as those of earlier versions do, or the file is damaged.
    """
    path = run / SCORES
    if not path.is_file():
        raise RunError(
            f"{run} keeps no scores to choose other gates from: there is no {SCORES}, as in runs of earlier "
            f"versions. Make it, with new thresholds: relmask calibrate {run} DATA"
        )
    columns = [*COLUMNS, *(LOGIT + name for name in classes)]
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file, strict=True)
        logits = np.array([[float(cell) for cell in row[len(COLUMNS) :]] for row in rows])
    except (OSError, ValueError, csv.Error) as error:
        raise _damaged(run) from error
    whole = header == columns and all(len(row) == len(columns) and row[3] in SOURCES for row in rows)
    if not (rows and whole and np.isfinite(logits).all()):
        raise _damaged(run)
    labels = [split_labels(row[1]) for row in rows]
    targets = np.array([[name in those for name in classes] for those in labels])
    scores = Scores(logits, targets, [row[2] for row in rows])
    return KeptScores(scores, [row[0] for row in rows], [SOURCES[row[3]] for row in rows])


def _damaged(run: Path) -> RunError:
    return RunError(
        f"{run / SCORES} cannot be used: it is damaged, was edited, or may not be read. Make it anew, with "
        f"new thresholds: relmask calibrate {run} DATA"
    )
