"""What a training was, for people (report.html) and programs (history.csv); what a run is, for every page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import numpy as np

from relmask.arrays import DoubleArray
from relmask.checks import Check
from relmask.data.index import Sample
from relmask.data.splits import Split
from relmask.files import write_csv
from relmask.inference.run import Run
from relmask.masks.thresholds import Calibration
from relmask.models.bundle import Metadata
from relmask.models.guided import GuidedClassifier
from relmask.progress import Progress
from relmask.report import (
    Album,
    Line,
    Picture,
    Section,
    Shot,
    cards,
    charts,
    confusion,
    curves,
    facts,
    gallery,
    histogram,
    how_to_read,
    limit,
    strongest,
    table,
    text,
    write_report,
)
from relmask.training.folder import CHECK
from relmask.training.image_novelty import RATE
from relmask.training.loop import Epoch, History


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a run says of a picture of which it knows the labels."""

    sample: Sample
    called: bool
    score: float
    scores: Mapping[str, float]

    @property
    def labels(self) -> frozenset[str]:
        """Classes that are in the picture."""
        return self.sample.labels

    @property
    def badness(self) -> tuple[float, float]:
        """Higher is worse: 2 where a defect is missed or imagined, 1 for a wrong class, 0; then the doubt."""
        doubt = 1 - self.score if self.labels else self.score
        if self.called != bool(self.labels):
            return 2.0, doubt
        return float(self.called and strongest(self) not in self.labels), doubt


def judge(samples: Sequence[Sample], logits: DoubleArray, calibration: Calibration) -> list[Judgement]:
    """What the thresholds make of logits (N, K), of each sample by its score alone."""
    called: list[bool] = np.any(calibration.candidates(logits), axis=1).tolist()
    scores = calibration.defect_probability(logits).tolist() if len(logits) else []
    each = [
        {
            name: t.probability(value)
            for (name, t), value in zip(calibration.classes.items(), row, strict=True)
        }
        for row in logits.tolist()
    ]
    return [Judgement(*parts) for parts in zip(samples, called, scores, each, strict=True)]


def write_history(history: History, path: Path) -> None:
    """Write history.csv, a line an epoch."""
    columns = [column.name for column in fields(Epoch)]
    rows = [[getattr(line, column) for column in columns] for line in history.epochs]
    write_csv(path, columns, rows)


def write_training_report(
    run: Run, split: Split, history: History, judged: Sequence[Judgement], path: Path, progress: Progress
) -> None:
    """The report of a training: data, split, curves, how validation pictures are judged, thresholds.

    Args:
        run: with thresholds.
        split: of the data.
        history: of the training.
        judged: validation pictures; a few of them are segmented for the page. Their true masks are not read.
        path: of the page.
        progress: called after every picture that is segmented.
    """
    classes, calibration = run.metadata.classes, run.metadata.calibration
    said = (*split.index.left_out, *split.warnings)
    sections = [text("Read this first", *said, warning=True)] if said else []
    sections += [_summary(history, judged), _split_table(split), _curves(history, judged, calibration)]
    if judged:
        sections.append(confusion(judged, classes))
        sections += _pictures(run, judged, progress)
    sections += check_verdict(run.path)
    if calibration is not None:
        sections.append(threshold_table(calibration))
    sections.append(
        run_facts(run.metadata) + facts("", {"Pictures unlike anything seen": _known_novelty(run)})
    )
    about = f"relmask train: what {run.path} learned from {run.metadata.data}"
    write_report(path, run.path.name, sections, about=about)


def run_facts(metadata: Metadata) -> Section:
    """What a run was trained on and how, as a list of facts."""
    architecture, size = metadata.architecture, metadata.input.size
    drawn = {
        "given": "as the data state it",
        "grouped": "drawn by group",
        "random": "drawn by picture: leaky",
    }
    return facts(
        "The run",
        {
            "Trained on": metadata.data,
            "Classes": ", ".join(metadata.classes),
            "Clean class": metadata.clean or "none: each class is judged against the pictures without it",
            "Split": drawn[metadata.split],
            "Backbone": str(architecture or "a module of your own"),
            "Input": f"windows of {size} px" if metadata.input.windows else f"the picture at {size} px",
            "Saw true masks": _masks_seen(metadata),
            "Composite": metadata.composite or None,
            "Command": metadata.command,
            "relmask": metadata.relmask,
        },
    )


def _masks_seen(metadata: Metadata) -> str:
    if not metadata.saw_masks:
        return "no: the run comes from labels alone"
    tuned = metadata.calibration is not None and metadata.calibration.saw_masks
    by = {"training": metadata.trained_on_masks, "the choice of thresholds": tuned}
    return "yes, by " + " and by ".join(name for name, saw in by.items() if saw)


def threshold_table(calibration: Calibration) -> Section:
    """Thresholds of every class, and the pictures that they were chosen from."""
    by_class = table(
        "Thresholds",
        ("class", "gate (logit)", "level"),
        [(name, f"{t.gate:.3g}", f"{t.level:.3g}") for name, t in calibration.classes.items()],
        note="A picture above the gate of a class is explained; its mask is where support exceeds the "
        "level, in units of Otsu's threshold.",
    )
    return by_class + facts(
        "",
        {
            "Clean pictures that may get a mask": f"{calibration.false_alarms:.1%}",
            "Clean pictures judged": f"{calibration.negatives} in {calibration.groups} groups",
            "Training pictures judged by heads that never saw them": calibration.cross_fitted,
        },
    )


def check_verdict(run: Path) -> list[Section]:
    """What `relmask check` found in a run; nothing where it was not checked, or its file cannot be read."""
    try:
        found = Check.model_validate_json((run / CHECK).read_bytes())
    except (OSError, ValueError):
        return []
    words = {True: "passed", False: "failed", None: "not made"}
    rows = [(finding.name, words[finding.passed], finding.says) for finding in found.findings]
    title = "Are the masks evidence?"
    return [text(title, found.verdict, warning=not found.passed) + table(title, ("test", "", ""), rows)]


def _summary(history: History, judged: Sequence[Judgement]) -> Section:
    best = next((line for line in history.epochs if line.epoch == history.best), None)
    right = np.mean([item.called == bool(item.labels) for item in judged]) if judged else None
    return cards(
        "On the validation split",
        {
            "Picture AUROC": (best.val_auroc if best else None, ""),
            "Defect or clean, right": (None if right is None else float(right), f"of {len(judged)} pictures"),
            "Loss": (best.val_loss if best else None, ""),
            "Epochs": (len(history.epochs), f"the weights of epoch {history.best} were kept"),
        },
        note="These pictures chose weights and thresholds: `relmask evaluate` tells how good the run is.",
    )


def _curves(history: History, judged: Sequence[Judgement], calibration: Calibration | None) -> Section:
    epochs = [float(line.epoch) for line in history.epochs]
    areas = {float(line.epoch): line.val_auroc for line in history.epochs if line.val_auroc is not None}
    drawings = {
        "Loss": curves(
            [
                Line("training", epochs, [line.train_loss for line in history.epochs]),
                Line("validation", epochs, [line.val_loss for line in history.epochs]),
            ],
            x_label="epoch",
            y_label="loss",
        ),
    }
    if areas:
        line = Line("validation", [*areas], [*areas.values()])
        drawings["AUROC of validation pictures"] = curves([line], x_label="epoch", y_label="AUROC")
    if judged and calibration is not None:
        drawings["Score of each validation picture"] = histogram(judged, calibration.gate_score)
    return charts("Training", drawings)


def _pictures(run: Run, judged: Sequence[Judgement], progress: Progress) -> list[Section]:
    """The worst of the judged pictures and a fair sample of the others, segmented."""
    album: Album[Judgement] = Album()
    for item in judged:

        def kept(item: Judgement = item) -> Judgement:
            return item

        album.add(item.sample.name, item.badness, kept, faulty=item.badness[0] > 0)
    chosen = [*album.worst, *album.sample]
    shots = []
    for done, item in enumerate(chosen, start=1):
        picture = run.read(item.sample.path)
        found = run.segment(picture)
        shots.append(Shot.of(picture, found.relevance, found.mask))
        progress("pictures", done, len(chosen))
    full = limit(shots)
    pictures = [_picture(item, shot, full) for item, shot in zip(chosen, shots, strict=True)]
    count = len(album.worst)
    galleries = {
        "Judged wrongly": (pictures[:count], "Defects missed or imagined first, then wrong classes."),
        "A random sample of the others": (pictures[count:], ""),
    }
    return [
        how_to_read(run.metadata.classes, full),
        *(gallery(title, shown, note=note) for title, (shown, note) in galleries.items() if shown),
    ]


def _picture(item: Judgement, shot: Shot, full: float) -> Picture:
    truly = " and ".join(sorted(item.labels)) or "clean"
    kind: Literal["good", "bad"] = "bad" if item.badness[0] else "good"
    said = f"called {strongest(item)}, {item.score:.2f}"
    return Picture(item.sample.name, shot.views(full), [(truly, ""), (said, kind)])


def _split_table(split: Split) -> Section:
    index = split.index
    names = [*([index.clean] if index.clean else []), *index.classes]
    rows = []
    for name in names:
        row: list[str | int] = [name]
        for part in ("train", "val", "test"):
            chosen = [
                s for s in index.part(part) if (name in s.labels) or (name == index.clean and not s.labels)
            ]
            row.append(f"{len(chosen)} in {len({s.group for s in chosen})} groups")
        rows.append(tuple(row))
    return table("Pictures of each class", ("class", "train", "validation", "test"), rows)


def _known_novelty(run: Run) -> str:
    """What the run can say of pictures unlike all that it saw."""
    network = run.model.network
    if not isinstance(network, GuidedClassifier):
        return "not measured: that takes the features of a classifier that is relmask's own"
    if network.nearest is None:
        return "not measured: no clean picture could be compared with pictures of another group"
    return f"novelty above 1, as {RATE:.0%} of the clean pictures; {len(network.nearest.seen)} are remembered"
