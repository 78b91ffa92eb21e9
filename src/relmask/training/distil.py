"""Distil a run: a segmenter that learns from the run's own masks of its training pictures."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from relmask import __version__
from relmask.arrays import ByteArray, FloatArray
from relmask.calibration.calibrate import calibrate, require_known
from relmask.data.index import Index, Sample, read_index, with_splits
from relmask.data.labelled import readable
from relmask.data.patches import patch_size
from relmask.data.splits import Split, placed, read_split, write_split
from relmask.data.truth import has_mask, read_truth, truth_fingerprint, with_masks
from relmask.errors import DataError, RunError, UsageError
from relmask.formats.corrected import corrected
from relmask.inference.run import Run, find_device
from relmask.inference.segmentation import SegmentationModel
from relmask.models import bundle
from relmask.models.unet import encoder
from relmask.out import prepared
from relmask.progress import Progress, silent
from relmask.training.arithmetic import Arithmetic, arithmetic_of
from relmask.training.effort import FULL, Effort
from relmask.training.folder import CHECKPOINTS, RUN
from relmask.training.loop import History
from relmask.training.pixel_dataset import VOID, Maps, PixelDataset
from relmask.training.pseudo_labels import PseudoLabels
from relmask.training.report import write_history, write_training_report
from relmask.training.segmentation import fit_segmenter, input_of, new_segmentation_model

BACKBONE = "efficientnet-lite0"
"""Backbone of the student of a user's own module."""
AGREED = 0.5
"""Probability above which a student says that a pixel shows a class."""


@torch.inference_mode(False)  # tensors that are made here must take gradients, whatever the caller chose
@torch.enable_grad()
def distil(
    run: Run,
    data: Path | str,
    out: Path | str,
    *,
    masks: Path | str | None = None,
    epochs: int = 16,
    batch_size: int = 16,
    seed: int = 0,
    device: str = "auto",
    precision: str = "bf16-mixed",
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
    effort: Effort = FULL,
) -> Run:
    """Train a student on a run's own masks of the training pictures, and choose its thresholds from labels.

    Two rounds: the second one learns from what the run and the first student agree on. No true mask is read.

    Args:
        run: the teacher, with thresholds.
        data: its DATA. The run's split decides; of pictures that it does not know, DATA's own.
        out: folder of the student, which is a run like any other.
        masks: what a person corrected, in any format that relmask reads, see `corrected`; DATA itself for the
            masks that it names. They take the place of the run's own; the student says `trained_on_masks`.
        epochs: epochs of 50 batches in the first round; the second has half as many.
        batch_size: pictures in a batch.
        seed: seed of fresh weights, batches, crops and augmentation.
        device: "auto", "cpu", "cuda".
        precision: "bf16-mixed", or "32-true": float32.
        resume: go on after the last checkpoint in `out`.
        overwrite: replace what is in `out`.
        progress: called after every step.
        effort: how long an epoch is.

    Returns:
        The student, as `load(out)` gives it.

    Raises:
        RunError: the run has no thresholds.
        DataError: no picture to train on, or corrected masks that cannot be used.
        UsageError: classes that the run does not know.
        OutError: `out` cannot be written, or holds something else.
    """
    calibration = run.metadata.calibration
    if calibration is None:
        raise RunError(f"{run.path} has no thresholds. Choose them: relmask calibrate {run.path} {data}")
    data, out = Path(data), Path(out)
    split = _split(run, read_index(data, usual=run.metadata.clean))
    drawn = with_masks(split.index, {}) if masks is None else split.index
    if masks is not None and Path(masks).absolute() != data.absolute():
        drawn = corrected(split.index, Path(masks))
    settings = {
        "teacher": str(run.path.resolve()),
        "masks": str(Path(masks).resolve()) if masks else None,
        "corrected": sum(has_mask(sample) for sample in drawn.part("train")),
        "epochs": epochs,
        "batch_size": batch_size,
        "seed": seed,
    }
    wanted = {
        "settings": settings,
        "data": split.index.fingerprint,
        "teacher": bundle.fingerprint(run.path),
        "masks": truth_fingerprint(drawn.samples, drawn),
    }
    if out.resolve() == run.path.resolve():
        raise UsageError(f"{out} is RUN itself. Choose another OUT for the student.")
    arithmetic = arithmetic_of(find_device(device), precision)
    with prepared(out, RUN, wanted, resume=resume, overwrite=overwrite):
        return _distilled(run, data, out, split, drawn, settings, arithmetic, progress, effort)


def _distilled(
    run: Run,
    data: Path,
    out: Path,
    split: Split,
    drawn: Index,
    settings: Mapping[str, Any],
    arithmetic: Arithmetic,
    progress: Progress,
    effort: Effort,
) -> Run:
    """The student, trained and written into a folder that was prepared for it."""
    teacher, calibration = run.metadata, run.segmenter.calibration
    epochs, batch_size, seed = (settings[name] for name in ("epochs", "batch_size", "seed"))
    backbone, weights = _encoder(teacher)
    spec = _input(teacher, backbone)
    model = new_segmentation_model(
        backbone,
        len(teacher.classes),
        spec,
        arithmetic.device,
        seed,
        weights,
        frozen=True,  # the teacher's masks have errors: it must not learn them by heart
    )
    parts = [
        _pixel_dataset(run, readable(drawn.part(part), progress), drawn, progress)
        for part in ("train", "val")
    ]
    history = History()
    for number, length in enumerate((epochs, -(-epochs // 2)), start=1):
        learned = parts if number == 1 else [agreed(part, model, drawn) for part in parts]
        found = fit_segmenter(
            model,
            learned[0],
            learned[1],
            arithmetic,
            out / CHECKPOINTS / f"round-{number}",
            epochs=length,
            steps=effort.steps,
            batch_size=batch_size,
            seed=seed + number,
            progress=progress,
        )
        history.epochs += [replace(line, epoch=len(history.epochs) + line.epoch) for line in found.epochs]
    write_split(split, out / "split.csv")
    write_history(history, out / "history.csv")
    metadata = bundle.Metadata(
        relmask=__version__,
        architecture=bundle.UNetArchitecture(backbone=backbone),
        classes=teacher.classes,
        clean=teacher.clean,
        input=spec,
        composite="",
        calibration=None,
        trained_on_masks=teacher.saw_masks or settings["masks"] is not None,
        split=teacher.split,
        data=str(data.resolve()),
        fingerprint=split.index.fingerprint,
        settings=settings,
        command=shlex.join(sys.argv),
    )
    bundle.save(out, model.network, metadata)
    student = Run(out, metadata, model)
    calibrate(student, data, false_alarms=calibration.false_alarms, progress=progress)
    write_training_report(student, split, history, [], out / "report.html", progress)
    return student


def _encoder(teacher: bundle.Metadata) -> tuple[str, Path | None]:
    """Backbone of the student, with its file: one of the teacher's, if a U-Net can be built on it."""
    architecture, file = teacher.architecture, teacher.settings.get("weights")
    names = [] if architecture is None else [architecture.backbone]
    if isinstance(architecture, bundle.Architecture):
        names += [view.backbone for view in architecture.beside]
    found = encoder(names)
    mine = found is not None and found == names[-1]  # a file is the last backbone's
    return found or BACKBONE, Path(file) if file and mine else None


def _input(teacher: bundle.Metadata, backbone: str) -> bundle.Input:
    """How pictures become the student's input: as the teacher's, normalised as its own backbone asks."""
    spec, architecture = teacher.input.without_support(), teacher.architecture
    if architecture is None or architecture.backbone == backbone:
        return spec
    own = input_of(backbone, spec.size, spec.windows, spec.intensity)
    return spec.model_copy(update={"mean": own.mean, "std": own.std})


def agreed(dataset: PixelDataset, student: SegmentationModel, drawn: Index) -> PixelDataset:
    """The same pictures; void where teacher and student differ, but for those that `drawn` has masks of."""
    fixed = {sample.name for sample in drawn.samples if has_mask(sample)}

    def kept(number: int) -> Tensor:
        values, wanted = dataset.maps[number], dataset.targets[number].numpy() > 0
        if not wanted.any() or dataset.names[number] in fixed:
            return values
        picture = (dataset.images[number].permute(1, 2, 0).float() / 255).numpy()
        images, places = student.cut(picture)
        chances = student.maps(picture, images, places, np.tile(wanted, (len(images), 1)))
        stacked = np.stack([*chances.values()])
        said = np.where(stacked.max(0) > AGREED, np.array([*chances])[stacked.argmax(0)] + 1, 0)
        return torch.where(torch.from_numpy(said) == values, values, VOID).to(values.dtype)

    return replace(dataset, maps=Maps(map(kept, range(len(dataset)))))


def _split(run: Run, index: Index) -> Split:
    require_known(run, index)
    lines = read_split(run.path / "split.csv")
    chosen = with_splits(index, placed(index.samples, lines, "train"))
    if not chosen.part("train"):
        raise DataError(f"{index.root} has no picture to train on: all are in the run's other splits.")
    return Split(chosen, run.metadata.split != "random", ())


def _pixel_dataset(run: Run, samples: Sequence[Sample], drawn: Index, progress: Progress) -> PixelDataset:
    classes, done = run.metadata.classes, 0
    own = PseudoLabels(run, samples if patch_size(drawn.root) else ())
    values = np.array([0, *(classes.index(name) + 1 for name in drawn.classes)], np.uint8)

    def map_of(sample: Sample, picture: FloatArray) -> ByteArray:
        nonlocal done
        found = values[read_truth(sample, drawn)] if has_mask(sample) else own(sample, picture)
        done += 1
        progress("masks to learn from", done, len(samples))
        return found

    return PixelDataset.of(samples, map_of, classes, run.metadata.input)
