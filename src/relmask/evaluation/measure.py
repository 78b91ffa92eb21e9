"""Segmentations of images against their true masks, whatever made them."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import numpy as np
from numpy.typing import NDArray

from relmask.data.index import Index, Sample
from relmask.data.reading import Intensity, batched, read_image
from relmask.data.truth import has_truth, read_truth
from relmask.errors import DataError, ImageError
from relmask.evaluation.bootstrap import intervals
from relmask.evaluation.cases import Case, Cases, badness
from relmask.evaluation.controls import Control
from relmask.evaluation.metrics import Metrics, Tally, ThresholdScores
from relmask.evaluation.ranking import ThresholdSearch
from relmask.files import writing
from relmask.inference.model import Model
from relmask.inference.segmenter import Segmentation

Image = NDArray[np.float32]

DEFECT = ("defect",)
"""Classes of what tells defect from background only."""
Segment = Callable[[Sequence[Image]], Sequence[Segmentation]]
Look = Callable[[Image, str], NDArray[np.floating] | None]
"""The map (H, W) of a class in a picture, whether or not it passes its gate; None for an unknown class."""


@dataclass(frozen=True)
class Measured:
    """Result of a run over images: sums, cases to show, time and failures."""

    tally: Tally
    cases: Cases
    seconds_per_image: float
    failed: Mapping[str, str]  # name of an image that could not be read, or its mask -> why

    def metrics(
        self, *, split: str, grouped: bool, threshold: ThresholdScores, resamples: int = 1000
    ) -> Metrics:
        """The content of metrics.json.

        Args:
            split: name of the split.
            grouped: no group has images both here and in training.
            threshold: thresholds that made the masks.
            resamples: number of bootstrap resamples.
        """
        tally = self.tally
        per_class = tally.per_class()
        known = [scores.iou for scores in per_class.values() if scores.iou is not None]
        return Metrics(
            split=split,
            grouped=grouped,
            groups=len({outcome.group for outcome in tally.outcomes}),
            images=len(tally.outcomes),
            pixel=tally.pixel(),
            per_class=per_class,
            mean_iou=float(np.mean(known)) if known else None,
            clean=tally.clean(),
            image=tally.image(),
            threshold=threshold,
            ci95=intervals(tally, resamples=resamples),
            seconds_per_image=self.seconds_per_image,
        )


def measure(
    segment: Segment,
    samples: Sequence[Sample],
    index: Index,
    *,
    classes: Sequence[str] | None,
    intensity: Intensity,
    batch_size: int = 8,
    look: Look | None = None,
    on_image: Callable[[int], None] = lambda done: None,
) -> Measured:
    """Segment images and compare the masks with the true ones.

    Args:
        segment: images (H, W, 3) in [0, 1] to segmentations, one each.
        samples: samples of the index; their true masks are opened here.
        index: names the classes of the true masks.
        classes: classes of the segmentations' masks in order. A class that only the index has is added behind
            them: it can be missed, not found. None: the masks tell defect (1) from background only.
        intensity: value range by which images are read.
        batch_size: images in memory at once.
        look: asked where the true class of a picture would have been, if it does not pass its gate; this is
            not in the time that is measured. None: `peak_on_defect` is not measured.
        on_image: called with the number of images done.

    Raises:
        DataError: there is no image that can be read, together with its true mask if it has one.
    """
    names, to_class = _naming(classes, index)
    tally, cases, failed, seconds = Tally(names), Cases(), dict[str, str](), 0.0
    read_pictures = _readable(samples, index, intensity, failed)
    for read in batched(read_pictures, batch_size, lambda found: found[1][..., 0].size):
        began = time.perf_counter()
        results = segment([image for _, image, _ in read])
        seconds += time.perf_counter() - began
        for (sample, image, values), result in zip(read, results, strict=True):
            truth = None if values is None else to_class[values]
            outcome = tally.add(
                name=sample.name,
                group=sample.group,
                labels=sample.labels,
                mask=result.mask,
                truth=truth,
                relevance=result.relevance,
                called=result.status == "defect",
                score=result.score,
                scores=result.scores,
                maps=result.maps,
                peaks=_peaks(image, result, truth, names or DEFECT, look),
            )
            worse = badness(outcome)
            keep = partial(Case.of, outcome, image, result.relevance, result.mask, truth)
            cases.add(outcome.name, worse, keep, faulty=worse > (0.0, 0))
            on_image(len(tally.outcomes))
    if not tally.outcomes:
        reasons = "\n".join(failed.values()) or "The part is empty: name another with --split."
        raise DataError(f"No image of {index.root} to evaluate on.\n{reasons}")
    return Measured(tally, cases, seconds / len(tally.outcomes), failed)


def looks_of(model: Model, classes: Sequence[str]) -> Look:
    """The maps that a model gives of its classes, gate or not."""

    def look(image: Image, name: str) -> NDArray[np.floating] | None:
        if name not in classes:
            return None
        images, places = model.cut(image)
        return model.explain(image, images, places, classes.index(name))

    return look


def peaks_on_truth(
    truth: NDArray[np.uint8],
    names: Sequence[str],
    relevance_of: Callable[[str], NDArray[np.floating] | None],
) -> dict[str, bool]:
    """Does the highest relevance of each class that a true mask shows lie on a true pixel of the class?

    A class without a map, or with nothing positive in it, points nowhere.

    Args:
        truth: (H, W): 0 or the class, 1-based in the order of `names`.
        names: of the classes.
        relevance_of: the map (H, W) of a class.
    """
    found = {}
    for k in np.unique(truth[truth > 0]).tolist():
        relevance = relevance_of(names[k - 1])
        found[names[k - 1]] = bool(
            relevance is not None and relevance.max() > 0 and truth.flat[relevance.argmax()] == k
        )
    return found


def measure_control(
    control: Control, samples: Sequence[Sample], index: Index, *, intensity: Intensity, batch_size: int = 8
) -> tuple[float, Measured]:
    """The threshold with the best tolerant F1 on these very images, and what it gives.

    Any defect against background only: a control knows no classes, and its image score is its highest pixel.
    Score maps wait on disk, so each is computed once.
    """
    search, failed = ThresholdSearch(), dict[str, str]()
    with writing(Path(gettempdir())), TemporaryDirectory(prefix="relmask-") as folder:
        kept: list[Sample] = []
        for sample, image, truth in _readable(samples, index, intensity, failed):
            scores = np.asarray(control.score(image), np.float32)
            if truth is not None:
                search.add(scores, truth > 0)
            np.save(Path(folder) / f"{len(kept)}.npy", scores)
            kept.append(sample)
        threshold, _ = search.best()
        stored = (np.load(Path(folder) / f"{number}.npy") for number in range(len(kept)))

        def segment(images: Sequence[Image]) -> list[Segmentation]:
            return [_thresholded(next(stored), threshold) for _ in images]

        measured = measure(segment, kept, index, classes=None, intensity=intensity, batch_size=batch_size)
    return threshold, measured


def _peaks(
    image: Image,
    result: Segmentation,
    truth: NDArray[np.uint8] | None,
    names: Sequence[str],
    look: Look | None,
) -> dict[str, bool]:
    """See `peaks_on_truth`; nothing where that is not known."""
    if look is None or truth is None:
        return {}
    return peaks_on_truth(
        truth, names, lambda name: result.maps[name] if name in result.maps else look(image, name)
    )


def _thresholded(scores: NDArray[np.float32], threshold: float) -> Segmentation:
    mask = (scores >= threshold).astype(np.uint8)
    return Segmentation(mask, scores, {}, float(scores.max()), "defect" if mask.any() else "clean", ())


def _naming(classes: Sequence[str] | None, index: Index) -> tuple[tuple[str, ...], NDArray[np.uint8]]:
    """Names of all classes, and for each value of a true mask the value that this class has among them."""
    if classes is None:
        return (), np.array([0, *(1 for _ in index.classes)], np.uint8)
    names = (*classes, *(name for name in index.classes if name not in classes))
    return names, np.array([0, *(names.index(name) + 1 for name in index.classes)], np.uint8)


def _readable(
    samples: Sequence[Sample], index: Index, intensity: Intensity, failed: dict[str, str]
) -> Iterator[tuple[Sample, Image, NDArray[np.uint8] | None]]:
    """Each sample with its image and its true mask; None where a defective one has no mask."""
    for sample in samples:
        try:
            image = read_image(sample.path, intensity)
            yield sample, image, read_truth(sample, index) if has_truth(sample) else None
        except ImageError as error:
            failed[sample.name] = str(error)
