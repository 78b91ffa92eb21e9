"""What a run is, for every page that speaks of it: what it learned from, its thresholds, its check."""

from pathlib import Path

from relmask.checks import Check
from relmask.masks.thresholds import Calibration
from relmask.models.bundle import Metadata
from relmask.report import Section, facts, table, text
from relmask.training.folder import CHECK


def run_facts(metadata: Metadata) -> Section:
    """What was trained, on what, how."""
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
            "Backbone": architecture.backbone if architecture else "a module of your own",
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


def thresholds(calibration: Calibration) -> Section:
    """What makes a mask, and what it was chosen from."""
    by_class = table(
        "Thresholds",
        ("class", "gate (logit)", "level", "of"),
        [(name, f"{t.gate:.3g}", f"{t.level:.3g}", t.level_of) for name, t in calibration.classes.items()],
        note="A picture above the gate of a class is explained; its mask is where relevance exceeds the level: "
        "a share of the picture's peak, or absolute.",
    )
    return by_class + facts(
        "",
        {
            "Clean pictures that may get a mask": f"{calibration.false_alarms:.1%}",
            "Clean pictures judged": f"{calibration.negatives} in {calibration.groups} groups",
            "Training pictures judged by heads that never saw them": calibration.cross_fitted,
        },
    )


def verdict(run: Path) -> list[Section]:
    """What `relmask check` found in a run; nothing where it was not checked, or its file cannot be read."""
    try:
        found = Check.model_validate_json((run / CHECK).read_bytes())
    except (OSError, ValueError):
        return []
    words = {True: "passed", False: "failed", None: "not made"}
    rows = [(finding.name, words[finding.passed], finding.says) for finding in found.findings]
    title = "Are the masks evidence?"
    return [text(title, found.verdict, warning=not found.passed) + table(title, ("test", "", ""), rows)]
