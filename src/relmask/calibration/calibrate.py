"""New thresholds for a run, without training it again."""

import warnings
from functools import partial
from pathlib import Path

import numpy as np

from relmask.calibration.floors import choose_floors
from relmask.calibration.from_labels import choose_thresholds, even_odds, otsu
from relmask.calibration.from_masks import choose_from_masks
from relmask.calibration.scores import score
from relmask.data.image_cache import ImageCache
from relmask.data.index import Index, Sample, read_index
from relmask.data.labelled import Labelled, readable
from relmask.data.splits import placed, read_split
from relmask.data.truth import has_truth, missing_masks, warn_of_missing_masks
from relmask.errors import DataError, UsageError
from relmask.formats.corrected import corrected
from relmask.inference.run import Run
from relmask.masks.gates import Scores, too_few_negatives
from relmask.masks.thresholds import Calibration
from relmask.models import bundle
from relmask.models.bundle import Metadata
from relmask.models.kept_scores import KeptScores, Source, write_scores
from relmask.progress import Progress, silent

FACTORS = np.geomspace(1 / 16, 16, 17)
"""Multiples of a level, a factor of the square root of 2 apart, that are tried on true masks."""


def calibrate(
    run: Run,
    data: Path | str,
    *,
    false_alarms: float | None = None,
    masks: Path | str | None = None,
    progress: Progress = silent,
) -> Calibration:
    """Choose the thresholds of a run anew and write them into it, and the scores that its gates come from.

    Args:
        run: stays as it is but for its thresholds.
        data: pictures with labels. Where the run knows them, those of its validation split are used, or,
            where it has none, those it was trained on; of other data all that are not in test.
        false_alarms: share of clean images that may get a mask; None keeps the run's.
        masks: choose how far masks reach by true masks; the run then says `saw_masks`, and keeps its gates
            unless `false_alarms` is given. The masks are what DATA names if this is DATA itself, else what
            `relmask.formats.corrected` finds there.
        progress: called after every step.

    Returns:
        The new thresholds.

    Raises:
        DataError: no picture of the data can be used; with `masks`, none that has a mask.
        UsageError: classes that the run does not know, or a rate out of range.
        OutError: the run cannot be written.
    """
    metadata = run.metadata
    index = read_index(Path(data), usual=metadata.clean)
    require_known(run, index)
    if masks is not None and Path(masks).absolute() != Path(data).absolute():
        index = corrected(index, Path(masks))
    if false_alarms is not None and not 0 <= false_alarms < 1:
        raise UsageError(f"--false-alarms must be at least 0 and below 1, got {false_alarms}.")
    part = Labelled.of(readable(_chosen(run, index), progress), metadata.classes)
    found, scores = metadata.calibration, None
    if found is None or false_alarms is not None or masks is None:
        rate = found.false_alarms if found else 0.01
        rate = rate if false_alarms is None else false_alarms
        scores, found = _from_labels(run, part, rate, _clean_known(metadata, index), progress)
        if said := too_few_negatives(found, metadata.clean):
            warnings.warn(said, stacklevel=2)
    if masks is not None:
        found = _from_masks(run, found, index, part, progress)
    if scores is not None:
        write_scores(run.path, scores, metadata.classes)
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


def _from_labels(
    run: Run, part: Labelled, rate: float, clean_known: bool, progress: Progress
) -> tuple[KeptScores, Calibration]:
    logits, targets = score(run.model, part.samples, progress), part.targets.numpy() > 0
    classes, level_of, floors = run.metadata.classes, even_odds, None
    if (model := run.model.relevance_model) is not None:
        level_of = otsu
        clean = [sample for sample in part.samples if not sample.labels]
        floors = partial(choose_floors, model, clean, progress=progress)
        if _trained_on(run, part):
            cache = ImageCache(part.samples, model.spec.size, model.spec.intensity, memory=0)
            images = (cache.batch([index]) for index in range(len(cache)))
            shift = model.as_if_unseen(images, [str(g) for g in part.groups], part.targets.amax(1) == 0)
            logits += shift.double().numpy()
    scores = Scores(logits, targets, part.groups)
    kept = KeptScores(scores, [sample.name for sample in part.samples], _sources(run, part))
    return kept, choose_thresholds(scores, level_of, classes, rate, floors=floors, clean_known=clean_known)


def _clean_known(metadata: Metadata, index: Index) -> bool:
    """Are there clean images, in the data that the run was trained on or in those of now?"""
    found = metadata.calibration
    before = metadata.clean is not None or (found is not None and not found.never_clean)
    return before or any(not sample.labels for sample in index.samples)


def _sources(run: Run, part: Labelled) -> list[Source]:
    known: dict[str, Source] = {"val": "validation", "train": "training"}
    places = placed(part.samples, read_split(run.path / "split.csv"), "new")
    return [known.get(place, "new") for place in places]


def _from_masks(
    run: Run, found: Calibration, index: Index, part: Labelled, progress: Progress
) -> Calibration:
    known = [sample for sample in part.samples if has_truth(sample)]
    if not any(sample.labels for sample in known):
        advice = "\n".join([*missing_masks(part.samples), "Leave out --masks."])
        raise DataError(f"No picture of {index.root} that may be used has a mask. {advice}")
    warn_of_missing_masks(part.samples)
    levels = {name: own.level * FACTORS for name, own in found.classes.items()}
    return choose_from_masks(run.model, [found], levels, known, index, progress)


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
