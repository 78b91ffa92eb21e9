"""Train a run: a folder of labelled pictures in, a model with its thresholds out."""

import shlex
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from relmask import __version__
from relmask.data.index import Index, Sample, read_index, require_trainable
from relmask.data.reading import measure_intensity
from relmask.data.splits import Split, assign, write_split
from relmask.errors import OutError
from relmask.files import write_csv, write_json
from relmask.models import bundle
from relmask.models.guided import GuidedClassifier
from relmask.progress import Progress, silent
from relmask.segmenter import Reader, Run
from relmask.training.calibrate import Labelled, calibrate_run
from relmask.training.fit import Epoch, History, fit
from relmask.training.pictures import Pictures, readable
from relmask.training.plan import Plan, Settings, plan
from relmask.training.sources import CachedFeatures, Source, WholePictures
from relmask.training.story import write_story

SETTINGS = "training.json"


def train(
    data: Path | str,
    out: Path | str,
    *,
    model: nn.Module | None = None,
    device: str = "auto",
    precision: str = "32-true",
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
    **choices: Any,  # noqa: ANN401 - the fields of Settings, checked by it
) -> Run:
    """Train a classifier from image-level labels and choose its thresholds; no mask is read.

    Args:
        data: DATA, see the README: a CSV, a folder with index.csv, an MVTec folder, or a folder a class.
        out: folder of the run.
        model: a module of your own, normalised images (N, 3, H, W) -> logits (N, K), K = number of defect
            classes; it is trained in place. None: `backbone` with relmask's guided pooling.
        device: "auto", "cpu", "cuda".
        precision: as Lightning Fabric names it, like "bf16-mixed".
        resume: go on after the last checkpoint in `out`; the result equals an uninterrupted training.
        overwrite: replace what is in `out`.
        progress: called after every step.
        choices: see `Settings`: backbone, epochs, size, weights, finetune, clean, resplit, seed,
            batch_size, composite, false_alarms.

    Returns:
        The run, as `load(out)` gives it.

    Raises:
        DataError: the data cannot be used.
        OutError: `out` cannot be written, or holds something else.
        UsageError: choices that contradict each other.
    """
    settings = Settings(**choices)
    data, out = Path(data), Path(out)
    index = read_index(data, settings.clean)
    require_trainable(index)
    split = assign(index, seed=settings.seed, resplit=settings.resplit)
    _prepare(out, settings, split.index, resume=resume, overwrite=overwrite)
    write_split(split, out / "split.csv")
    training = Labelled.of(readable(split.index.part("train"), progress), index.classes)
    validation = Labelled.of(readable(split.index.part("val"), progress), index.classes)
    chosen = plan(
        settings,
        data,
        index,
        measure_intensity([sample.path for sample in training.samples]),
        own=model is not None,
    )
    fabric = Fabric(accelerator=_accelerator(device), devices=1, precision=precision)  # type: ignore[arg-type]
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        network = model or _network(chosen, settings, len(index.classes))
    network.to(fabric.device)
    reader = Reader(network, chosen.input, chosen.composite, fabric.device, settings.batch_size)
    sources = [
        _source(network, chosen, part.samples, reader, seen, progress)
        for part, seen in ((training, True), (validation, False))
    ]
    if chosen.frozen and isinstance(network, GuidedClassifier):
        _fit_statistics(network, sources[0], training, progress)
    history = fit(
        network,
        (sources[0], training.targets),
        (sources[1], validation.targets),
        chosen.schedule,
        fabric,
        out / "checkpoints",
        seed=settings.seed,
        on_step=lambda step, note: progress(
            "training", step, chosen.schedule.epochs * chosen.schedule.steps, note
        ),
    )
    write_csv(
        out / "history.csv",
        [column.name for column in fields(Epoch)],
        [list(vars(line).values()) for line in history.epochs],
    )
    calibration = calibrate_run(
        reader, network, sources, (training, validation), settings, chosen, fabric, out, progress
    )
    metadata = bundle.Metadata(
        relmask=__version__,
        architecture=chosen.architecture,
        classes=index.classes,
        clean=index.clean,
        input=chosen.input,
        composite=chosen.composite,
        calibration=calibration,
        split=_split_kind(index, settings),
        data=str(data.resolve()),
        fingerprint=index.fingerprint,
        settings=settings.model_dump(mode="json"),
        command=shlex.join(sys.argv),
    )
    bundle.save(out, network, metadata)
    run = Run(out, metadata, reader)
    write_story(run, split, history, out / "report.html")
    return run
