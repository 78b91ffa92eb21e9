"""docs/portfolio.md, from the figures that are kept in docs/experiments/portfolio.jsonl."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from portfolio_sets import SETS
from relmask.files import write_text

DOCS = Path(__file__).parents[1] / "docs"
FIGURES, PAGE = DOCS / "experiments" / "portfolio.jsonl", DOCS / "portfolio.md"

Figure = Mapping[str, Any]
"""A line of the file: set, seed, method, figure, value, low, high, commit."""
Row = tuple[str, int, str]
"""Set, seed and method."""

COLUMNS = {
    "iou": "IoU, any defect",
    "mean_iou": "mean IoU",
    "f1": "F1",
    "f1_tol2": "F1 within 2 px",
    "auroc": "image AUROC",
    "recall_at_gate": "recall at the gate",
    "peak_on_defect": "peak on defect",
    "clean_empty": "clean without a mask",
    "train_seconds": "training, s",
    "seconds_per_image": "s a picture",
}
WITH_INTERVAL = ("iou", "f1", "f1_tol2")
METHODS = ("relmask", "student", "unet", "random-head", "one-class")
BESIDE = ("iou", "mean_iou", "f1_tol2", "peak_on_defect", "clean_empty", "train_seconds", "seconds_per_image")
"""Figures by which methods stand side by side."""

HEAD = """# The portfolio

A set that was tuned for says little; most of these were not. A change of relmask is judged by this page:
what gains on one set and loses on another outside the intervals is no gain. The page is made by `python
benchmarks/portfolio.py DATA -o OUT`, then `--page`, out of `docs/experiments/portfolio.jsonl`; it is never
edited by hand.

**How it was measured.** relmask is trained with its defaults on the training split. Its thresholds come
from labels alone. Its masks are compared with the true masks of the whole test split, clean pictures
included. All methods of a set see one split. Intervals are 95 %, by a bootstrap over groups (pictures of
one part). The seconds are those of two CPU cores that did other work too: compare them within a factor of
two only. Rows of 9bed535a4b44 and before saw whole pictures at 256 px, unless a set names a size; later ones
at 256 or 512 px, as labels choose.

**Which columns matter.** Three are about the first look: image AUROC; recall at the gate, the share of the
defective pictures in which a class passes its gate, since no other can get a mask; and peak on defect, the
share of the defects whose class has its highest relevance on a true pixel, gate or not. The others are
about masks: IoU and F1 of any defect, pooled over all pictures; mean IoU over the classes; F1 within 2 px,
which forgives borders; and clean pictures without a mask, on which trust hangs. A low recall keeps IoU low,
however good the masks are. Where the peaks lie on the defects and IoU is low, the mask fails.
"""

BESIDE_HEAD = """
## Beside what it must beat

The U-Net learned from true masks, for 20 epochs or as long as relmask, at most 12 minutes: what a person
who draws masks gets for the work. A random head has the gates of the trained classifier and the relevance
of one that never learned. The one-class detector (nearest neighbours among features of clean pictures)
knows no classes. relmask must beat the last two.
"""


def update_page(new: Sequence[Figure], kept: Path = FIGURES, page: Path = PAGE) -> None:
    """Take figures into the file of those that are kept, and write the page.

    Raises:
        OutError: they cannot be written.
    """
    lines = merged(read_figures(kept), new)
    write_text(kept, "".join(f"{json.dumps(line)}\n" for line in lines))
    write_text(page, as_page(lines))


def read_figures(path: Path = FIGURES) -> list[Figure]:
    """All lines of the file; none where it is absent."""
    return (
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
    )


def merged(kept: Sequence[Figure], new: Sequence[Figure]) -> list[Figure]:
    """The figures of each set, seed and method as measured last, in the order of the sets."""
    again = {_row_of(line) for line in new}
    lines = [*(line for line in kept if _row_of(line) not in again), *new]
    sets, methods = list(SETS), list(METHODS)
    known = (line for line in lines if line["set"] in sets and line["method"] in methods)
    return sorted(
        known, key=lambda line: (sets.index(line["set"]), line["seed"], methods.index(line["method"]))
    )


def as_page(lines: Sequence[Figure]) -> str:
    """The page as Markdown."""
    rows: dict[Row, dict[str, Figure]] = {}
    for line in lines:
        rows.setdefault(_row_of(line), {})[line["figure"]] = line
    names = worst_first(rows)
    parts = [
        HEAD,
        "## relmask, worst set first\n",
        *_table(
            ("set", "seed", *COLUMNS.values(), "commit"), _lines(rows, names, list(COLUMNS), METHODS[:1])
        ),
        BESIDE_HEAD,
        *_table(
            ("set", "seed", "method", *(COLUMNS[name] for name in BESIDE), "commit"),
            _lines(rows, names, BESIDE, METHODS),
        ),
        "\n## The sets\n",
        *_table(("set", "what it is"), [(name, one.about) for name, one in SETS.items()]),
    ]
    if missing := [name for name in SETS if name not in names]:
        parts.append(f"\nNot measured yet: {', '.join(missing)}.")
    return "\n".join(parts) + "\n"


def worst_first(rows: Mapping[Row, Mapping[str, Figure]]) -> list[str]:
    """Names of the sets that relmask was judged on, by its IoU of any defect, the mean over seeds."""
    found: dict[str, list[float]] = {}
    for (name, _, method), figures in rows.items():
        if method == METHODS[0]:
            found.setdefault(name, []).append(figures["iou"]["value"] or 0.0)
    return sorted(found, key=lambda name: fmean(found[name]))


def _lines(
    rows: Mapping[Row, Mapping[str, Figure]],
    names: Sequence[str],
    columns: Sequence[str],
    methods: Sequence[str],
) -> Iterator[list[str]]:
    """Lines of a table: set, seed, method where there are several, the figures, commit."""
    for name in names:
        for (of, seed, method), figures in rows.items():
            if of == name and method in methods:
                shown = [method] if len(methods) > 1 else []
                commit = str(figures["iou"]["commit"])
                yield [name, str(seed), *shown, *(_cell(figures[key]) for key in columns), commit]


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in (columns, ["---"] * len(columns), *rows)]


def _cell(line: Figure) -> str:
    value, key = line["value"], line["figure"]
    if value is None:
        return "-"
    shown = f"{value:.0f}" if key == "train_seconds" else f"{value:.2f}"
    if key in WITH_INTERVAL and line["low"] is not None:
        return f"{shown} ({line['low']:.2f} to {line['high']:.2f})"
    return shown


def _row_of(line: Figure) -> Row:
    return line["set"], line["seed"], line["method"]
