"""Methods side by side on one split: comparison.json, comparison.csv and comparison.html."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from relmask.data.index import read_index
from relmask.data.splits import assign
from relmask.data.truth import truth_fingerprint
from relmask.errors import OutError, UsageError
from relmask.evaluation.comparison.methods import METHODS, named
from relmask.evaluation.comparison.page import write_page
from relmask.evaluation.comparison.run import MethodRun
from relmask.evaluation.comparison.schema import Row, write_rows
from relmask.evaluation.comparison.settings import Settings
from relmask.evaluation.comparison.shared import Shared
from relmask.files import write_json
from relmask.progress import Progress, silent
from relmask.training.effort import FULL, Effort

SETTINGS = "compare.json"
WORK = "work"
"""Folder below OUT with what is kept between calls."""


def compare(
    data: Path | str,
    out: Path | str,
    methods: Sequence[str] = (),
    *,
    overwrite: bool = False,
    progress: Progress = silent,
    effort: Effort = FULL,
    **choices: Any,  # noqa: ANN401 - the fields of Settings, checked by it
) -> list[Row]:
    """Judge methods on the whole test pictures of one split, each within the same time.

    Tables and page are written after every method. The same OUT goes on with what is missing, and other
    methods can be added to it.

    Args:
        data: DATA with true masks of test pictures.
        out: folder; it is made.
        methods: names, see `METHODS`; all without any.
        overwrite: replace a comparison with other settings in `out`.
        progress: called after every step.
        effort: work of every training; tests ask for little.
        choices: see `Settings`.

    Returns:
        Two rows a method, those of `out`'s earlier calls too: thresholds from labels, and the best ones.

    Raises:
        UsageError: no such method or setting, or captum is needed and not installed.
        DataError: the data cannot be used, or no test picture has a mask.
        OutError: `out` cannot be written, or holds something else.
    """
    chosen, settings = named(methods), _settings(choices)
    data, out = Path(data), Path(out)
    split = assign(
        read_index(data, settings.clean),
        seed=settings.seed,
        resplit=settings.resplit,
        for_labels=settings.patches is None,
    )
    shared = Shared(out / WORK, split, settings, progress, effort)
    progress("methods", 0, len(chosen), f"{len(shared.test)} test pictures")
    data_are = {
        "data": split.index.fingerprint,
        "masks": truth_fingerprint(split.index.samples, split.index),
    }
    _prepare(out, {**settings.model_dump(mode="json"), **data_are}, overwrite)
    runs = [MethodRun(name, method, shared) for name, method in METHODS.items()]
    asked = [method for method in runs if method.name in chosen]
    for number, method in enumerate(asked):
        progress("methods", number, len(asked), method.name)
        method.run()
        write_rows([row for method in runs for row in method.rows], out)
        write_page(out / "comparison.html", shared, runs)
    progress("methods", len(asked), len(asked))
    rows = [row for method in runs for row in method.rows]
    if not rows:
        raise UsageError("\n".join(f"{method.name}: {method.reason}" for method in asked))
    return rows


def _settings(choices: dict[str, Any]) -> Settings:
    try:
        settings = Settings(**choices)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, line['loc']))}: {line['msg']}" for line in error.errors())
        raise UsageError(f"These settings cannot be: {wrong}.") from None
    if settings.patches and settings.size not in (None, settings.patches):
        raise UsageError(
            f"Patches of {settings.patches} px are the model's input as they are: leave out --size."
        )
    return settings


def _prepare(out: Path, settings: dict[str, Any], overwrite: bool) -> None:
    """Make OUT ready: empty, or with a comparison of the same settings."""
    path = out / SETTINGS
    try:
        before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        filled = out.exists() and any(out.iterdir())
    except (OSError, ValueError) as error:
        raise OutError(f"Cannot use {out} for a comparison: {error}. Choose another folder.") from error
    if before == settings:
        return
    if filled and not isinstance(before, dict):
        raise OutError(f"{out} holds other files. Choose an empty or a new folder.")
    if isinstance(before, dict) and not overwrite:
        changed = ", ".join(sorted(key for key in settings if before.get(key) != settings[key]))
        raise OutError(
            f"{out} holds a comparison with other settings ({changed}). Choose another folder, or replace it "
            "with --overwrite."
        )
    for name in ("comparison.json", "comparison.csv", "comparison.html"):
        (out / name).unlink(missing_ok=True)
    shutil.rmtree(out / WORK, ignore_errors=True)
    write_json(path, settings)
