"""New thresholds for a run, without training it again."""

import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from relmask.calibration.from_labels import Explained, doubt, thresholds
from relmask.data.index import Index, Sample, read_index
from relmask.data.splits import placed, read_split
from relmask.data.tiles import across
from relmask.data.truth import has_truth, read_truth
from relmask.errors import DataError, UsageError
from relmask.formats.corrected import corrected
from relmask.inference.segmenter import Run
from relmask.masks.binarise import outline
from relmask.masks.calibration import Calibration, Scores
from relmask.models import bundle
from relmask.models.guided import GuidedClassifier
from relmask.progress import Progress, silent
from relmask.training.image_cache import Pictures
from relmask.training.image_novelty import as_if_unseen
from relmask.training.labels import Labelled, readable
from relmask.training.sources import WholePictures

FACTORS = np.geomspace(1 / 16, 16, 17)
"""Of an extent, a factor of the square root of 2 apart: what is tried where true masks are there."""


def recalibrate(
    run: Run,
    data: Path | str,
    *,
    false_alarms: float | None = None,
    masks: Path | str | None = None,
    progress: Progress = silent,
) -> Calibration:
    """Choose the thresholds of a run anew and write them into it.

    Args:
        run: stays as it is but for its thresholds.
        data: pictures with labels. Where the run knows them, those of its validation split are used, or,
            where it has none, those it was trained on; of other data all that are not in test.
        false_alarms: share of clean images that may get a mask; None keeps the run's.
        masks: choose how far masks reach by true masks; the run then says `saw_masks`, and keeps its gates
            unless `false_alarms` is given. They are what DATA names if this is DATA itself, else what
            `relmask.formats.corrected` finds there.
        progress: called after every step.

    Returns:
        The new thresholds.

    Raises:
        DataError: no picture of the data can be used; with `masks`, none that has a mask.
        UsageError: classes that the run does not know, or a rate out of range.
    """
    metadata = run.metadata
    index = read_index(Path(data), usual=metadata.clean)
    require_known(run, index)
    if masks is not None and Path(masks).absolute() != Path(data).absolute():
        index = corrected(index, Path(masks))
    if false_alarms is not None and not 0 <= false_alarms < 1:
        raise UsageError(f"--false-alarms must be at least 0 and below 1, got {false_alarms}.")
    part = Labelled.of(readable(_chosen(run, index), progress), metadata.classes)
    found = metadata.calibration
    if found is None or false_alarms is not None or masks is None:
        kept = found.false_alarms if found else 0.01
        found = _from_labels(run, part, kept if false_alarms is None else false_alarms, progress)
        if said := doubt(found, metadata.clean):
            warnings.warn(said, stacklevel=2)
    if masks is not None:
        found = _with_masks(run, found, index, part)
    run.metadata = metadata.model_copy(update={"calibration": found})
    bundle.save_metadata(run.path, run.metadata)
    return found


def require_known(run: Run, index: Index) -> None:
    """Check that a run knows all classes of some data.

    Raises:
        UsageError: it does not.
    """
    if unknown := sorted(set(index.classes) - set(run.metadata.classes)):
        raise UsageError(
            f"{run.path} was not trained on {', '.join(unknown)}: train a run with these classes."
        )


def _from_labels(run: Run, part: Labelled, rate: float, progress: Progress) -> Calibration:
    metadata, model, reader = run.metadata, run.reader.model, run.reader
    pictures = Pictures(part.samples, metadata.input.size, metadata.input.intensity, memory=0)
    logits = _logits(run, pictures, progress)
    if isinstance(model, GuidedClassifier) and _trained_on(run, part):
        source = WholePictures(model, pictures, reader.normalise, reader.device)
        logits += as_if_unseen(model, source, part).double().numpy()
    targets = part.targets.numpy() > 0
    explained = Explained(reader, pictures, logits, targets, len(part.samples))
    scores = Scores(logits, targets, part.groups)
    return thresholds(scores, explained, metadata.classes, rate, False, progress)


def _chosen(run: Run, index: Index) -> tuple[Sample, ...]:
    lines = read_split(run.path / "split.csv")
    groups = {line.group for line in lines.values()}
    known = [sample for sample in index.samples if sample.name in lines] or [
        sample for sample in index.samples if sample.group in groups
    ]
    samples = known or index.samples
    places = placed(samples, lines, "new")
    wanted = ({"val"} if "val" in places else {"train"}) if known else {"new", "train", "val"}
    chosen = tuple(sample for sample, place in zip(samples, places, strict=True) if place in wanted)
    if not chosen:
        raise DataError(f"{index.root} has no picture to calibrate with: none outside the test split.")
    return chosen


def _trained_on(run: Run, part: Labelled) -> bool:
    lines = read_split(run.path / "split.csv")
    return any(sample.name in lines and lines[sample.name].split == "train" for sample in part.samples)


def _logits(run: Run, pictures: Pictures, progress: Progress) -> NDArray[np.float64]:
    size, parts = run.reader.batch_size, []
    for start in range(0, len(pictures), size):
        indices = list(range(start, min(start + size, len(pictures))))
        parts.append(run.reader.logits(pictures.batch(indices)))
        progress("scoring", indices[-1] + 1, len(pictures))
    return torch.cat(parts).double().numpy()


def _with_masks(run: Run, found: Calibration, index: Index, part: Labelled) -> Calibration:
    """The same thresholds, each class reaching as far as fits the true masks best (highest pooled IoU)."""
    known = [sample for sample in part.samples if sample.labels and has_truth(sample)]
    if not known:
        raise DataError(f"No picture of {index.root} that may be used has a mask. Leave out --masks.")
    classes = dict(found.classes)
    for k, (name, own) in enumerate(found.classes.items()):
        levels = own.extent * FACTORS
        levels = levels[levels < 1] if own.extent_of == "peak" else levels
        tried = [own.model_copy(update={"extent": float(level)}) for level in levels]
        hits, union = np.zeros(len(tried)), np.zeros(len(tried))
        value = index.classes.index(name) + 1 if name in index.classes else 0
        for sample in known:
            picture = run.read(sample.path)
            images, places = run.reader.cut(picture)
            passing = found.passing(run.reader.logits(images).double().numpy(), across(places))
            passing[:, np.arange(passing.shape[1]) != k] = False
            if name not in sample.labels or not passing.any():
                continue
            truth = read_truth(sample, index) == value
            relevance = run.reader.maps(picture, images, places, passing, found.large)[k]
            for number, limits in enumerate(tried):
                mask = outline(relevance, limits)
                hits[number] += np.count_nonzero(mask & truth)
                union[number] += np.count_nonzero(mask | truth)
        if hits.any():
            classes[name] = tried[int(np.argmax(hits / np.maximum(union, 1)))]
    return found.model_copy(update={"classes": classes, "saw_masks": True})
