"""Methods side by side on one split: comparison.json, comparison.csv and comparison.html."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from relmask.data.index import read_index
from relmask.data.splits import assign
from relmask.data.truth import truth_fingerprint
from relmask.errors import UsageError
from relmask.evaluation.comparison.methods import METHODS, named
from relmask.evaluation.comparison.page import write_page
from relmask.evaluation.comparison.run import MethodRun
from relmask.evaluation.comparison.schema import Row, write_rows
from relmask.evaluation.comparison.settings import Settings
from relmask.evaluation.comparison.shared import Shared
from relmask.out import Contents, prepared
from relmask.progress import Progress, silent
from relmask.training.effort import FULL, Effort

WORK = "work"
"""Folder below OUT with what is kept between calls."""
COMPARISON = Contents(
    "a comparison",
    "compare.json",
    ("comparison.json", "comparison.csv", "comparison.html", f"{WORK}/**/*"),
    alone=True,
)


def compare(
    data: Path | str,
    out: Path | str,
    methods: Sequence[str] = (),
    *,
    patches: int | None = None,
    minutes: float = 20.0,
    backbone: str = "efficientnet-lite0",
    epochs: int | None = None,
    size: int | None = None,
    batch_size: int = 16,
    precision: str = "32-true",
    clean: str | None = None,
    resplit: Literal["grouped", "random"] | None = None,
    false_alarms: float = 0.01,
    seed: int = 0,
    device: str = "auto",
    overwrite: bool = False,
    progress: Progress = silent,
    effort: Effort = FULL,
) -> list[Row]:
    """Judge methods on the whole test pictures of one split, each within the same time.

    Tables and page are written after every method. The same OUT goes on with what is missing, and other
    methods can be added to it.

    Args:
        data: DATA with true masks of test pictures.
        out: folder; it is made.
        methods: names, see `METHODS`; all without any.
        patches: side in pixels of the patches to learn from; None: whole pictures.
        minutes: time budget per method; slower methods train fewer epochs or process fewer pictures.
        backbone: backbone of the classifiers and the U-Net.
        epochs: epochs of the classifiers; None: as many as `train` takes.
        size: side of the input in pixels; None: 256, or a patch's.
        batch_size: images that go through a network together.
        precision: precision of training, "32-true" or "bf16-mixed".
        clean: name of the clean class; None: found by its usual names.
        resplit: draw a split anew, by group or (leaky) by picture; None: DATA's own.
        false_alarms: share of the clean pictures that may get a mask.
        seed: random seed for splits, batches and augmentation.
        device: "auto", "cpu", "cuda".
        overwrite: replace a comparison with other settings in `out`.
        progress: called after every step.
        effort: work of every training; tests ask for little.

    Returns:
        Two rows a method, those of `out`'s earlier calls too: thresholds from labels, and the best ones.

    Raises:
        UsageError: no such method or setting, or captum is needed and not installed.
        DataError: the data cannot be used, or no test picture has a mask.
        OutError: `out` cannot be written, or holds something else.
    """
    chosen = named(methods)
    settings = _settings(
        patches=patches,
        minutes=minutes,
        backbone=backbone,
        epochs=epochs,
        size=size,
        batch_size=batch_size,
        precision=precision,
        clean=clean,
        resplit=resplit,
        false_alarms=false_alarms,
        seed=seed,
        device=device,
    )
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
    runs = [MethodRun(name, method, shared) for name, method in METHODS.items()]
    asked = [method for method in runs if method.name in chosen]
    wanted = {**settings.model_dump(mode="json"), **data_are}
    with prepared(out, COMPARISON, wanted, overwrite=overwrite):
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


def _settings(**choices: Any) -> Settings:  # noqa: ANN401 - checked by it
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
