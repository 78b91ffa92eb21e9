"""Choose a run's thresholds from image-level labels alone."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from relmask.calibration.extents import (
    CLEARLY,
    FALLBACK,
    LARGE,
    choose_extent,
    choose_spread_extent,
    otsu_extent,
)
from relmask.calibration.gates import threshold_for_false_alarms
from relmask.data.splits import draw
from relmask.inference.explained import Reader
from relmask.inference.segmentation import MapReader
from relmask.masks.appearance import Appearance
from relmask.masks.calibration import (
    Calibration,
    ClassThresholds,
    Scores,
    choose_gates,
    probabilities,
)
from relmask.masks.growth import STRANGE, mostly_grown
from relmask.masks.inpainting import all_painted_over
from relmask.models.guided import GuidedClassifier
from relmask.progress import Progress
from relmask.sequences import evenly
from relmask.training.fit import predict_logits
from relmask.training.fitter import Fitter
from relmask.training.image_cache import Pictures
from relmask.training.image_novelty import as_if_unseen
from relmask.training.labels import Labelled
from relmask.training.sources import CachedFeatures, WholePictures

FOLDS = 2
LIKELY = 0.5
"""Chance from which a segmenter's pixel belongs to the mask."""
EXPLAINED = 16
"""At most so many images of a class are explained to choose how far its masks reach."""


def calibrate(
    fitter: Fitter,
    sources: Sequence[CachedFeatures | WholePictures],
    parts: Sequence[Labelled],
    classes: Sequence[str],
    rate: float,
) -> Calibration:
    """Thresholds of a model that was just trained.

    Where validation has fewer groups of clean images than the rate needs, the training images are judged,
    too, each by a head that never saw its group. Where there is no validation and no such head either, the
    model judges what it was trained on, as if its memory lacked the group of each.

    Args:
        fitter: holds the model.
        sources: predictions for training and validation.
        parts: their samples and targets.
        classes: names, in the order of the targets.
        rate: share of clean images that may get a mask.
    """
    training, validation = parts
    source, inner = sources[0], predict_logits(fitter.model, sources[0], len(training.targets))
    if isinstance(fitter.model, GuidedClassifier):
        inner = inner + as_if_unseen(fitter.model, source, training)
    logits = torch.zeros_like(validation.targets)
    if validation.samples:
        logits = predict_logits(fitter.model, sources[1], len(validation.targets))
    scores = _scores(validation, logits)
    cross_fitted = False
    if isinstance(source, CachedFeatures) and len(set(training.groups)) >= FOLDS:
        cross_fitted = _groups_of_negatives(validation) * rate < 1
        if cross_fitted:
            scores = _joined(scores, _scores(training, _cross_fit(fitter, source, training)))
    if not len(scores.logits):
        scores = _scores(training, inner)
    pictures = Pictures(
        (*validation.samples, *training.samples),
        fitter.plan.input.size,
        fitter.plan.input.intensity,
        memory=0,
    )
    targets = torch.cat([validation.targets, training.targets]).numpy() > 0
    own = torch.cat([logits, inner]).double().numpy()
    explained = Explained(fitter.reader, pictures, own, targets, len(validation.samples))
    return thresholds(scores, explained, classes, rate, cross_fitted, fitter.progress)


class Explained:
    """Relevance of pictures that thresholds are chosen from.

    Args:
        reader: the model.
        pictures: what may be explained, pictures that training did not see first.
        logits: (N, K) of the model for them.
        targets: (N, K).
        unseen: how many of the first pictures training did not see.
    """

    def __init__(
        self,
        reader: Reader,
        pictures: Pictures,
        logits: NDArray[np.float64],
        targets: NDArray[np.bool_],
        unseen: int,
    ) -> None:
        self.reader = reader
        self.pictures = pictures
        self.logits = logits
        self.targets = targets
        self.unseen = unseen

    def positives(self, k: int, gate: float) -> list[int]:
        """Images that have class k and pass its gate; unseen first, then evenly spread."""
        has = np.flatnonzero(self.targets[:, k] & (self.logits[:, k] > gate))
        unseen, seen = has[has < self.unseen], has[has >= self.unseen]
        room = max(EXPLAINED - len(unseen), 0)
        return [*_spread(unseen, EXPLAINED).tolist(), *_spread(seen, room).tolist()]

    def cleaned(
        self, k: int, gate: float, indices: Sequence[int], masks: Sequence[NDArray[np.bool_]]
    ) -> float:
        """Share of images whose logit of class k does not pass its gate once their masks are painted over."""
        logits = self.reader.logits(all_painted_over(self.pictures.batch(indices), masks))
        return float((logits[:, k] <= gate).double().mean())

    def false_peaks(self, k: int, gate: float) -> NDArray[np.float64]:
        """Highest relevance of class k in each image without it, 0 where its gate stops it."""
        without = np.flatnonzero(self._without(k))
        passing = [int(index) for index in without if self.logits[index, k] > gate]
        peaks = dict.fromkeys(without.tolist(), 0.0)
        for index, values in zip(passing, self.maps(passing, [k] * len(passing)), strict=True):
            peaks[index] = max(float(values.max()), 0.0)
        return np.array(list(peaks.values()))

    def _without(self, k: int) -> NDArray[np.bool_]:
        """Which images (N,) have no defect, or, where all have one, not that of class k."""
        clean: NDArray[np.bool_] = ~np.any(self.targets, axis=1)
        return clean if clean.any() else ~self.targets[:, k]

    def strange(self, k: int) -> float | None:
        """Novelty that few places of images without a defect exceed; None where the model cannot tell.

        Of images that training did not see, where there are some.
        """
        clean = np.flatnonzero(self._without(k))
        unseen, seen = clean[clean < self.unseen], clean[clean >= self.unseen]
        chosen = _spread(unseen if len(unseen) else seen, EXPLAINED)
        found = [
            self.reader.strangeness(self.pictures.batch([int(index)]), torch.tensor([k])) for index in chosen
        ]
        known = [values for values in found if values is not None]
        return float(np.quantile(np.concatenate(known), 1 - STRANGE)) if known else None

    def grows(
        self, indices: Sequence[int], k: int, maps: Sequence[NDArray[np.float32]], strange: float
    ) -> bool:
        """Do most images stay strange beside their relevance of class k, more than clean ones would there?"""
        without = np.flatnonzero(self._without(k))
        clean = without[np.linspace(0, len(without) - 1, len(indices)).astype(int)]
        found = []
        for part, images in self._batches(indices):
            beside = self.pictures.batch(clean[part].tolist())
            targets = torch.full((len(images),), k)
            found += self.reader.grown(images, targets, maps[part], strange, beside)
        return mostly_grown(maps, found)

    def appearance(self, indices: Sequence[int]) -> Appearance:
        """What the images look like."""
        return Appearance([*self.pictures.batch(indices).permute(0, 2, 3, 1).numpy()])

    def completed(
        self, indices: Sequence[int], k: int, maps: Sequence[NDArray[np.float32]], strange: float | None
    ) -> list[NDArray[np.float32]]:
        """Relevance (S, S) of class k as masks of large defects want it."""
        found = []
        for part, images in self._batches(indices):
            found += self.reader.completed(images, torch.full((len(images),), k), maps[part], strange)
        return found

    def maps(self, indices: Sequence[int], targets: Sequence[int]) -> list[NDArray[np.float32]]:
        """Relevance (S, S) of one class each, as masks will want it, but neither grown nor spread."""
        found = []
        for part, images in self._batches(indices):
            found += self.reader.drawn(images, torch.tensor(targets[part]))
        return found

    def _batches(self, indices: Sequence[int]) -> Iterator[tuple[slice, torch.Tensor]]:
        size = self.reader.batch_size
        for start in range(0, len(indices), size):
            part = slice(start, start + size)
            yield part, self.pictures.batch([int(index) for index in indices[part]])


def thresholds(
    scores: Scores,
    explained: Explained,
    classes: Sequence[str],
    rate: float,
    cross_fitted: bool,
    progress: Progress,
) -> Calibration:
    """Gates from scores, seeds from clean images that pass them, extents from images of the class."""
    gates = choose_gates(scores, rate)
    per_class, (slope, offset) = probabilities(scores, gates)
    chosen: dict[str, ClassThresholds] = {}
    for k, name in enumerate(classes):
        gate = float(gates.logits[k])
        chosen[name] = ClassThresholds(
            usual=float(gates.usual[k]),
            spread=float(gates.spread[k]),
            gate=gate,
            **reach(explained, k, gate, rate),
            slope=per_class[k][0],
            offset=per_class[k][1],
        )
        progress("calibrating", k + 1, len(classes))
    clean: NDArray[np.bool_] = ~np.any(scores.targets, axis=1)
    negative = clean if clean.any() else np.ones_like(clean)
    return Calibration(
        classes=chosen,
        false_alarms=rate,
        slope=slope,
        offset=offset,
        saw_masks=False,
        negatives=int(negative.sum()),
        groups=len({group for group, is_in in zip(scores.groups, negative, strict=True) if is_in}),
        cross_fitted=cross_fitted,
    )


def doubt(calibration: Calibration, clean: str | None) -> str | None:
    """What a user must know who counts on the share of false alarms, if it rests on too little."""
    rate, groups = calibration.false_alarms, calibration.groups
    if not 0 < rate * groups < 1:
        return None
    lacked = "a defect" if clean else "a class"
    return (
        f"{groups} groups of pictures without {lacked} cannot show that at most {rate:.1%} of such pictures "
        f"get a mask of one: that takes {math.ceil(1 / rate)}. The thresholds lie above all they reach."
    )


def reach(explained: Explained, k: int, gate: float, rate: float) -> dict[str, Any]:
    """Where masks of class k begin and end: what `ClassThresholds` has from `seed` to `strange`."""
    absolute = {"extent_of": "absolute", "large": False, "strange": None}
    if isinstance(explained.reader, MapReader):
        return {"seed": LIKELY, "extent": LIKELY, **absolute}
    chosen = explained.positives(k, gate)
    maps = explained.maps(chosen, [k] * len(chosen))
    windows = explained.reader.spec.windows
    if windows and maps:
        return {"seed": 0.0, "extent": otsu_extent(maps), **absolute}
    extent, large, strange = FALLBACK, False, None
    if maps:
        alike = explained.appearance(chosen).explains
        extent, likeness = choose_extent(maps, partial(explained.cleaned, k, gate, chosen), alike)
        limit = explained.strange(k)
        grows = limit is not None and explained.grows(chosen, k, maps, limit)
        if limit is not None and (grows or extent < LARGE):
            limit = limit if grows else None
            whole = explained.completed(chosen, k, maps, limit)
            reached, of_whole = choose_spread_extent(whole, alike)
            if CLEARLY * of_whole >= likeness:
                extent, large, strange = reached, True, limit
    return {
        "seed": 0.0 if windows else _seed(explained.false_peaks(k, gate), rate),
        "extent": extent,
        "extent_of": "peak",
        "large": large,
        "strange": strange,
    }


def _seed(peaks: NDArray[np.float64], rate: float) -> float:
    return threshold_for_false_alarms(peaks, rate) if len(peaks) else 0.0


def _cross_fit(fitter: Fitter, source: CachedFeatures, training: Labelled) -> torch.Tensor:
    """Logits (N, K) of training pictures, each by a head that saw no picture of its group."""
    strata: dict[str, set[str]] = {str(group): set() for group in training.groups}
    for sample in training.samples:
        strata[str(sample.group)] |= sample.labels or {""}
    names = [f"fold {number}" for number in range(FOLDS)]
    folds = draw(strata, dict.fromkeys(names, 1 / FOLDS), fitter.seed)
    logits = torch.zeros_like(training.targets)
    for number, name in enumerate(names):
        held_out = [i for i, group in enumerate(training.groups) if folds[str(group)] == name]
        if held_out:
            logits[held_out] = fitter.fit_without(source, training, held_out)
        fitter.progress("cross-fitting", number + 1, FOLDS)
    return logits


def _scores(part: Labelled, logits: torch.Tensor) -> Scores:
    return Scores(logits.double().numpy(), part.targets.numpy() > 0, part.groups)


def _joined(one: Scores, other: Scores) -> Scores:
    return Scores(
        np.concatenate([one.logits, other.logits]),
        np.concatenate([one.targets, other.targets]),
        [*one.groups, *other.groups],
    )


def _groups_of_negatives(part: Labelled) -> int:
    return len({sample.group for sample in part.samples if not sample.labels})


def _spread(indices: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """At most `count` of the indices, evenly spread."""
    return indices[evenly(len(indices), count)]
