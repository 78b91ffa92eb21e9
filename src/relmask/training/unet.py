"""The U-Net that is trained on true masks: what masks from labels are compared with."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from lightning_fabric import Fabric
from numpy.typing import NDArray

from relmask import __version__
from relmask.data.index import Index, Sample, read_index
from relmask.data.reading import measure_intensity, read_image
from relmask.data.splits import Split, assign, write_split
from relmask.data.truth import has_truth, legible, read_truth, truth_fingerprint
from relmask.errors import DataError
from relmask.inference.explained import find_device
from relmask.inference.segmentation import MapReader
from relmask.inference.segmenter import Run
from relmask.masks.calibration import Calibration, ClassThresholds, Scores, choose_gates, probabilities
from relmask.models import bundle
from relmask.out import prepared
from relmask.progress import Progress, silent
from relmask.training.folder import CHECKPOINTS, RUN
from relmask.training.labels import readable
from relmask.training.pixel_dataset import Classes, Mapped, Picture
from relmask.training.report import write_history
from relmask.training.segmentation import fit_segmenter, input_of, new_segmenter
from relmask.training.train import fabric_of, split_kind

NOTHING = -3.0
"""Logit of an image below which no pixel of it comes near a mask."""
CHANCES = np.linspace(0.05, 0.95, 19)


def fit_unet(
    data: Path | str,
    out: Path | str,
    *,
    backbone: str = "efficientnet-lite0",
    size: int = 256,
    windows: bool = False,
    epochs: int = 16,
    batch_size: int = 16,
    clean: str | None = None,
    resplit: Literal["grouped", "random"] | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "bf16-mixed",
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Run:
    """Train a U-Net on the true masks of the training pictures, and write it as a run.

    The split is the one that `train` draws with the same seed. Validation masks decide which epoch is kept
    and how likely a pixel must be.

    Args:
        data: DATA with masks.
        out: folder of the run.
        backbone: of the encoder.
        size: side of the input in pixels.
        windows: does it see squares of this size cut out of the pictures, or whole pictures resized to it?
        epochs: of 50 batches.
        batch_size: pictures in a batch.
        clean: name of the clean class.
        resplit: draw a split anew.
        seed: of the split, and of all that is drawn in training.
        device: "auto", "cpu", "cuda".
        precision: as Lightning Fabric names it.
        resume: go on after the last checkpoint in `out`.
        overwrite: replace what is in `out`.
        progress: called after every step.

    Raises:
        DataError: a part without a defective picture that has a mask.
        OutError: `out` cannot be written, or holds something else.
    """
    data, out = Path(data), Path(out)
    index = read_index(data, clean)
    split = assign(index, seed=seed, resplit=resplit, for_labels=False)
    known = {name: _known(split, name, progress) for name in ("train", "val")}
    fabric = fabric_of(find_device(device), precision)
    intensity = measure_intensity([sample.path for sample in known["train"]])
    spec = input_of(backbone, size, windows, intensity)
    wanted: dict[str, Any] = {
        "settings": {
            "backbone": backbone,
            "size": size,
            "windows": windows,
            "epochs": epochs,
            "batch_size": batch_size,
            "resplit": resplit,
            "seed": seed,
        },
        "data": index.fingerprint,
        "masks": truth_fingerprint((*known["train"], *known["val"]), index),
    }
    with prepared(out, RUN, wanted, resume=resume, overwrite=overwrite):
        return _fitted(data, out, index, split, known, spec, fabric, wanted["settings"], progress)


def _fitted(
    data: Path,
    out: Path,
    index: Index,
    split: Split,
    known: Mapping[str, list[Sample]],
    spec: bundle.Input,
    fabric: Fabric,
    settings: Mapping[str, Any],
    progress: Progress,
) -> Run:
    """The U-Net, trained and written into a folder that was prepared for it."""
    backbone = settings["backbone"]
    reader = new_segmenter(backbone, len(index.classes), spec, fabric, settings["seed"])

    def true_map(sample: Sample) -> tuple[Picture, Classes]:
        return read_image(sample.path, spec.intensity), read_truth(sample, index)

    parts = [Mapped.of(known[name], true_map, index.classes, spec) for name in ("train", "val")]
    history = fit_segmenter(
        reader,
        parts[0],
        parts[1],
        fabric,
        out / CHECKPOINTS,
        epochs=settings["epochs"],
        batch_size=settings["batch_size"],
        seed=settings["seed"],
        progress=progress,
    )
    calibration = tune(reader, known["val"], index, progress)
    metadata = bundle.Metadata(
        relmask=__version__,
        architecture=bundle.UNetArchitecture(backbone=backbone),
        classes=index.classes,
        clean=index.clean,
        input=spec,
        composite="",
        calibration=calibration,
        saw_masks=True,
        split=split_kind(index, settings["resplit"]),
        data=str(data.resolve()),
        fingerprint=index.fingerprint,
        settings=settings,
        command=shlex.join(sys.argv),
    )
    write_split(split, out / "split.csv")
    write_history(history, out / "history.csv")
    bundle.save(out, reader.model, metadata)
    return Run(out, metadata, reader)


def tune(reader: MapReader, samples: list[Sample], index: Index, progress: Progress) -> Calibration:
    """Thresholds with the highest pooled IoU of each class on pictures with true masks.

    Tried are all chances, with a gate that clean pictures rarely pass and without one; the gate where both
    do as well.
    """
    rows: list[NDArray[np.float64]] = []
    for sample in samples:
        images, _ = reader.cut(read_image(sample.path, reader.spec.intensity))
        rows.append(reader.logits(images).double().numpy())
    targets = np.array([[name in sample.labels for name in index.classes] for sample in samples])
    scores = Scores(np.stack([row.max(0) for row in rows]), targets, [sample.group for sample in samples])
    gates = choose_gates(scores, 0.01)
    tried = (np.full(len(index.classes), NOTHING), gates.logits)
    met, union = np.zeros((2, len(tried), len(index.classes), len(CHANCES)))
    for done, (sample, row) in enumerate(zip(samples, rows, strict=True), start=1):
        picture, truth = read_image(sample.path, reader.spec.intensity), read_truth(sample, index)
        images, places = reader.cut(picture)
        for number, least in enumerate(tried):
            maps = reader.maps(picture, images, places, row > least)
            for k in range(len(index.classes)):
                there = truth == k + 1
                for level, chance in enumerate(CHANCES):
                    said = maps[k] > chance if k in maps else np.zeros_like(there)
                    met[number, k, level] += np.count_nonzero(said & there)
                    union[number, k, level] += np.count_nonzero(said | there)
        progress("tuning", done, len(samples))
    iou = met / np.maximum(union, 1)
    gated = iou[1].max(1) >= iou[0].max(1)
    gate = np.where(gated, tried[1], tried[0])
    best = CHANCES[np.where(gated, iou[1].argmax(1), iou[0].argmax(1))]
    per_class, (slope, offset) = probabilities(scores, gates)
    clean: NDArray[np.bool_] = ~np.any(targets, axis=1)
    return Calibration(
        classes={
            name: ClassThresholds(
                usual=float(gates.usual[k]),
                spread=float(gates.spread[k]),
                gate=float(gate[k]),
                seed=float(best[k]),
                extent=float(best[k]),
                extent_of="absolute",
                slope=per_class[k][0],
                offset=per_class[k][1],
            )
            for k, name in enumerate(index.classes)
        },
        false_alarms=0.01,
        slope=slope,
        offset=offset,
        saw_masks=True,
        negatives=int(clean.sum()),
        groups=len({sample.group for sample, is_clean in zip(samples, clean, strict=True) if is_clean}),
        cross_fitted=False,
    )


def _known(split: Split, part: str, progress: Progress) -> list[Sample]:
    known = [sample for sample in split.index.part(part) if has_truth(sample)]
    samples = legible(readable(known, progress), split.index)
    if not any(sample.labels for sample in samples):
        raise DataError(f"No defective picture of {split.index.root} in {part} has a mask to learn from.")
    return samples
