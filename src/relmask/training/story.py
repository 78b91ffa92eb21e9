"""What a training was, for people (report.html) and programs (history.csv)."""

from dataclasses import fields
from pathlib import Path

from relmask.data.splits import Split
from relmask.files import write_csv
from relmask.report import Line, Section, cards, charts, curves, facts, table, text, write_report
from relmask.sanity import Check
from relmask.segmenter import Run
from relmask.training.loop import Epoch, History


def write_history(history: History, path: Path) -> None:
    """One line an epoch."""
    columns = [column.name for column in fields(Epoch)]
    rows = [[getattr(line, column) for column in columns] for line in history.epochs]
    write_csv(path, columns, rows)


def write_story(run: Run, split: Split, history: History, found: Check | None, path: Path) -> None:
    """The report of a training: data, split, curves, thresholds, what a check of its masks found."""
    write_report(path, f"relmask run {run.path.name}", [*_sections(run, split, history, found)])


def _sections(run: Run, split: Split, history: History, found: Check | None) -> list[Section]:
    metadata, calibration = run.metadata, run.metadata.calibration
    best = next((line for line in history.epochs if line.epoch == history.best), None)
    sections = [text("Read this first", *split.warnings, warning=True)] if split.warnings else []
    sections.append(
        cards(
            "On the validation split",
            {
                "Image AUROC": (best.val_auroc if best else None, ""),
                "Loss": (best.val_loss if best else None, ""),
                "Epochs": (len(history.epochs), f"the weights of epoch {history.best} were kept"),
            },
        )
    )
    epochs = [float(line.epoch) for line in history.epochs]
    sections.append(
        charts(
            "Training",
            {
                "Loss": curves(
                    [
                        Line("training", epochs, [line.train_loss for line in history.epochs]),
                        Line("validation", epochs, [line.val_loss for line in history.epochs]),
                    ],
                    x_label="epoch",
                    y_label="loss",
                )
            },
        )
    )
    if found is not None:
        sections.append(_evidence(found))
    sections.append(_split_table(split))
    if calibration is not None:
        sections.append(
            table(
                "Thresholds",
                ("class", "gate (logit)", "seed (logits a pixel)", "extent", "of"),
                [
                    (name, f"{t.gate:.3g}", f"{t.seed:.3g}", f"{t.extent:.3g}", t.extent_of)
                    for name, t in calibration.classes.items()
                ],
            )
        )
        sections.append(
            facts(
                "How they were chosen",
                {
                    "Clean images that may get a mask": f"{calibration.false_alarms:.1%}",
                    "Clean images judged": calibration.negatives,
                    "Groups of them": calibration.groups,
                    "Training images judged by heads that never saw them": calibration.cross_fitted,
                    "Saw true masks": calibration.saw_masks,
                },
            )
        )
    sections.append(
        facts(
            "Run",
            {
                "Data": metadata.data,
                "Backbone": metadata.architecture.backbone
                if metadata.architecture
                else "a module of your own",
                "Input": f"{metadata.input.size} px" + (", windows" if metadata.input.windows else ""),
                "Split": metadata.split,
                "Command": metadata.command,
            },
        )
    )
    return sections


def _evidence(found: Check) -> Section:
    """The verdict on the masks, and the tests behind it."""
    words = {True: "passed", False: "failed", None: "not made"}
    rows = [(finding.name, words[finding.passed], finding.says) for finding in found.findings]
    title = "Are the masks evidence?"
    return text(title, found.verdict, warning=not found.passed) + table(title, ("test", "", ""), rows)


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
    return table("Images of each class", ("class", "train", "val", "test"), rows)
