"""The U-Net that is trained on true masks: what masks from labels are compared with."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from relmask import __version__
from relmask.arrays import ByteArray, FloatArray
from relmask.calibration.from_labels import choose_thresholds, even_odds
from relmask.calibration.from_masks import choose_from_masks
from relmask.calibration.scores import score
from relmask.data.index import Index, Sample, read_index
from relmask.data.labelled import readable
from relmask.data.reading import measure_intensity
from relmask.data.splits import Split, assign, write_split
from relmask.data.truth import has_truth, legible, read_truth, truth_fingerprint
from relmask.errors import DataError
from relmask.inference.run import Run, find_device
from relmask.inference.segmentation import SegmentationModel
from relmask.masks.gates import Scores
from relmask.masks.thresholds import Calibration
from relmask.models import bundle
from relmask.out import prepared
from relmask.progress import Progress, silent
from relmask.training.arithmetic import Arithmetic, arithmetic_of
from relmask.training.effort import FULL, Effort
from relmask.training.folder import CHECKPOINTS, RUN
from relmask.training.pixel_dataset import PixelDataset
from relmask.training.report import write_history
from relmask.training.segmentation import fit_segmenter, input_of, new_segmentation_model
from relmask.training.train import split_kind

NOTHING = -3.0
"""Gate that stops no image: below this logit no pixel comes near a mask."""
PROBABILITIES = np.linspace(0.05, 0.95, 19)
"""Probabilities that are tried as level of a mask."""


@torch.inference_mode(False)  # tensors that are made here must take gradients, whatever the caller chose
@torch.enable_grad()
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
    effort: Effort = FULL,
) -> Run:
    """Train a U-Net on the true masks of the training pictures, and write it as a run.

    The split is the one that `train` draws with the same seed. Validation masks decide which epoch is kept
    and how likely a pixel must be.

    Args:
        data: DATA with masks.
        out: folder of the run.
        backbone: backbone of the encoder.
        size: side of the input in pixels.
        windows: does the U-Net see squares of this size cut out of the pictures, or whole ones resized to it?
        epochs: epochs of 50 batches.
        batch_size: pictures in a batch.
        clean: name of the clean class.
        resplit: draw new splits, by group or by picture, instead of those of DATA.
        seed: seed of the split, fresh weights, batches, crops and augmentation.
        device: "auto", "cpu", "cuda".
        precision: "bf16-mixed", or "32-true": float32.
        resume: go on after the last checkpoint in `out`.
        overwrite: replace what is in `out`.
        progress: called after every step.
        effort: how long an epoch is.

    Raises:
        DataError: a part without a defective picture that has a mask.
        OutError: `out` cannot be written, or holds something else.
    """
    data, out = Path(data), Path(out)
    index = read_index(data, clean)
    split = assign(index, seed=seed, resplit=resplit, for_labels=False)
    known = {name: _known(split, name, progress) for name in ("train", "val")}
    arithmetic = arithmetic_of(find_device(device), precision)
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
        return _fitted(data, out, index, split, known, spec, arithmetic, wanted["settings"], progress, effort)


def _fitted(
    data: Path,
    out: Path,
    index: Index,
    split: Split,
    known: Mapping[str, list[Sample]],
    spec: bundle.Input,
    arithmetic: Arithmetic,
    settings: Mapping[str, Any],
    progress: Progress,
    effort: Effort,
) -> Run:
    """The U-Net, trained and written into a folder that was prepared for it."""
    backbone = settings["backbone"]
    model = new_segmentation_model(backbone, len(index.classes), spec, arithmetic.device, settings["seed"])

    def true_map(sample: Sample, picture: FloatArray) -> ByteArray:
        return read_truth(sample, index)

    parts = [PixelDataset.of(known[name], true_map, index.classes, spec) for name in ("train", "val")]
    history = fit_segmenter(
        model,
        parts[0],
        parts[1],
        arithmetic,
        out / CHECKPOINTS,
        epochs=settings["epochs"],
        steps=effort.steps,
        batch_size=settings["batch_size"],
        seed=settings["seed"],
        progress=progress,
    )
    calibration = tune(model, known["val"], index, progress)
    metadata = bundle.Metadata(
        relmask=__version__,
        architecture=bundle.UNetArchitecture(backbone=backbone),
        classes=index.classes,
        clean=index.clean,
        input=spec,
        composite="",
        calibration=calibration,
        trained_on_masks=True,
        split=split_kind(index, settings["resplit"]),
        data=str(data.resolve()),
        fingerprint=index.fingerprint,
        settings=settings,
        command=shlex.join(sys.argv),
    )
    write_split(split, out / "split.csv")
    write_history(history, out / "history.csv")
    bundle.save(out, model.network, metadata)
    return Run(out, metadata, model)


def tune(
    model: SegmentationModel, samples: Sequence[Sample], index: Index, progress: Progress
) -> Calibration:
    """Thresholds with the highest pooled IoU of each class on pictures with true masks.

    Tried are all probabilities, with a gate that clean pictures rarely pass and without one; the gate where
    both do as well.
    """
    targets = np.array([[name in sample.labels for name in index.classes] for sample in samples])
    scores = Scores(score(model, samples, progress), targets, [sample.group for sample in samples])
    clean_known = any(not sample.labels for sample in index.samples)
    gated = choose_thresholds(scores, even_odds, index.classes, 0.01, clean_known=clean_known)
    open_ = {name: of.model_copy(update={"gate": NOTHING}) for name, of in gated.classes.items()}
    tried = (gated.model_copy(update={"classes": open_}), gated)
    levels = dict.fromkeys(index.classes, PROBABILITIES)
    found = choose_from_masks(model, tried, levels, samples, index, progress)
    return found.model_copy(update={"saw_masks": True})


def _known(split: Split, part: str, progress: Progress) -> list[Sample]:
    known = [sample for sample in split.index.part(part) if has_truth(sample)]
    samples = legible(readable(known, progress), split.index)
    if not any(sample.labels for sample in samples):
        raise DataError(f"No defective picture of {split.index.root} in {part} has a mask to learn from.")
    return samples
