"""The job of `explain`: why the model says what it says, as pictures."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from relmask.data.reading import read_image
from relmask.errors import ImageError, UnwritableName, UsageError
from relmask.files import printable, write_csv
from relmask.inference.model import Model
from relmask.inference.run import Run
from relmask.jobs.heatmaps import write_heatmap
from relmask.jobs.inputs import find_items
from relmask.jobs.results import reason_of
from relmask.models import bundle
from relmask.out import Contents, clear, prepared
from relmask.progress import Progress, silent

HEATMAPS = "heatmaps"
TABLE = "explanations.csv"
CONTENTS = Contents("heatmaps", "explain.json", (f"{HEATMAPS}/**/*.png", TABLE))
COLUMNS = ("file", "class", "logit", "peak", "heatmap", "error")


@dataclass(frozen=True)
class Explained:
    """Result of an explanation job.

    Attributes:
        out: folder of the results.
        images: number of pictures.
        failed: file and reason, for each picture without a heatmap.
        tables: file, and for each layer its rule and the relevance that it kept, for every picture; empty
            if not asked for.
    """

    out: Path
    images: int
    failed: tuple[tuple[str, str], ...]
    tables: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.images - len(self.failed)} heatmaps, {len(self.failed)} failed\nResults in {self.out}"


def explain_files(
    run: Run,
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    target: str | None = None,
    composite: str | None = None,
    tables: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Explained:
    """Write a heatmap for every picture, clean ones too, and explanations.csv.

    In an OUT of the same settings all are made anew.
    A heatmap shows the picture beside its relevance, red for the class and blue against it. All share one
    scale: full colour is a hundred times the density of one logit spread evenly over the model's input. Of a
    student, whose map is a probability, full colour is 1.

    Args:
        run: a trained run.
        inputs: folders, with all that is below them, globs, and single files.
        out: folder of the results.
        target: the class to explain; None takes the one with the highest logit in each picture.
        composite: name of LRP rules to use instead of the run's own.
        tables: also list the relevance that each layer kept, for every picture.
        overwrite: replace heatmaps of other settings in OUT.
        progress: called after every picture.

    Raises:
        UsageError: no such class or composite; a composite or a table of a student.
        DataError: an input does not exist, or there is no picture.
        OutError: OUT cannot be written, or holds heatmaps of other settings.
    """
    classes = run.metadata.classes
    if target is not None and target not in classes:
        raise UsageError(f"The run knows no class {target!r}. It knows: {', '.join(classes)}.")
    model = run.model.with_composite(composite) if composite else run.model
    out = Path(out)
    items = find_items(inputs, skip=(out / HEATMAPS,))
    settings = {
        "inputs": [printable(os.path.abspath(given)) for given in inputs],  # noqa: PTH100 - follows no link
        "run": bundle.fingerprint(run.path),
        "target": target,
        "composite": composite,
    }
    k = None if target is None else classes.index(target)
    rows: list[list[object]] = []
    failed: list[tuple[str, str]] = []
    kept: list[tuple[str, str]] = []
    with prepared(out, CONTENTS, settings, overwrite=overwrite):
        clear(out, CONTENTS)
        for item in items:
            heatmap = f"{HEATMAPS}/{item.name}.png"
            try:
                image = read_image(item.path, model.spec.intensity)
                found = _explained(model, image, k, tables)
                write_heatmap(out / heatmap, image, found.relevance, model.full_scale)
            except (ImageError, UnwritableName) as error:
                reason = reason_of(item, error)
                failed.append((str(item.path), reason))
                rows.append([printable(item.path), "", "", "", "", reason])
            else:
                if found.table is not None:
                    kept.append((str(item.path), found.table))
                figures = (f"{found.logit:.6g}", f"{found.relevance.max():.6g}")
                rows.append([printable(item.path), classes[found.k], *figures, printable(heatmap), ""])
            progress("explain", len(rows), len(items))
        write_csv(out / TABLE, COLUMNS, rows)
    return Explained(out, len(items), tuple(failed), tuple(kept))


class _Explained(NamedTuple):
    k: int
    logit: float
    relevance: NDArray[np.float32]
    table: str | None


def _explained(model: Model, image: NDArray[np.float32], target: int | None, tables: bool) -> _Explained:
    """A class of an image, its relevance (H, W), and what each layer kept of it where `tables` asks for that.

    Without a target it is the class with the highest logit.
    """
    images, places = model.cut(image)
    logits = model.logits(images).amax(0)
    k = int(logits.argmax()) if target is None else target
    relevance = model.explain(image, images, places, k)
    table = None
    if tables:
        table = model.describe(images, k)
    return _Explained(k, float(logits[k]), relevance, table)
