"""One method of a comparison, on the test pictures, with both kinds of threshold."""

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from relmask.data.index import Sample
from relmask.data.truth import has_truth, read_truth
from relmask.evaluation.comparison.attributions import NotApplicable
from relmask.evaluation.comparison.methods import Contender, Method
from relmask.evaluation.comparison.oracle import oracle_thresholds
from relmask.evaluation.comparison.predictions import RawPrediction, RawPredictions
from relmask.evaluation.comparison.schema import ROWS, Row
from relmask.evaluation.comparison.shared import Shared
from relmask.evaluation.evaluate import threshold_scores
from relmask.evaluation.measure import DEFECT, measure
from relmask.evaluation.ranking import Ranking
from relmask.files import whole, write_json, write_text
from relmask.inference.segmenter import Segmentation, Segmenter
from relmask.masks.thresholds import Calibration
from relmask.report import fitted, painted

FloatArray = NDArray[np.float32]

SHOWN = 12
LONGEST = 200
"""Pixels of a picture on the page."""


class MethodRun:
    """A method's rows and pictures, kept in a folder; what was done is not done again.

    Args:
        name: of the method.
        method: what to judge.
        shared: what it shares with the others.
    """

    def __init__(self, name: str, method: Method, shared: Shared) -> None:
        self.name = name
        self.method = method
        self.shared = shared
        self.folder = shared.folder / "runs" / name.replace("/", "-")
        self._rows, self._reason = self.folder / "rows.json", self.folder / "reason.txt"

    @property
    def rows(self) -> list[Row]:
        """Both rows; none where the method is not done, or the method has nothing to say."""
        return ROWS.validate_json(self._rows.read_bytes()) if self._rows.is_file() else []

    @property
    def reason(self) -> str:
        """Why the method has nothing to say; empty where it has, or was not asked."""
        return self._reason.read_text(encoding="utf-8") if self._reason.is_file() else ""

    def run(self) -> None:
        """Train, calibrate, predict the test pictures as far as time goes, and judge, unless that is done."""
        if self._rows.is_file() or self._reason.is_file():
            return
        began = time.perf_counter()
        try:
            contender = self.method.prepare(self.shared)
        except NotApplicable as reason:
            write_text(self._reason, str(reason))
            return
        seconds = self.shared.settings.seconds
        left = max(seconds / 2, seconds - (time.perf_counter() - began))
        predictions = RawPredictions(self.folder / "predictions", self.shared.test)
        taken = predictions.take(contender.model, contender.calibration, left, self.shared.progress)
        if len(taken) < len(predictions.samples):
            few = f"{len(taken)} of {len(predictions.samples)} test pictures, as time allows"
            contender = replace(contender, note="; ".join(filter(None, (contender.note, few))))
        plain = replace(contender, segmenter=Segmenter)
        given = self._row("labels", contender, contender.calibration, taken, predictions)
        oracle = oracle_thresholds(self._with_truth(contender, taken, predictions), contender.calibration)
        tried = [
            self._row("best", plain, found, taken, predictions)
            for found in (oracle.per_class, oracle.any_defect)
        ]
        rows = [given, best_of([given, *tried], oracle.ranking)]
        write_json(self._rows, ROWS.dump_python(rows, mode="json"))
        shutil.rmtree(predictions.folder, ignore_errors=True)

    def _row(
        self,
        threshold: Literal["labels", "best"],
        contender: Contender,
        calibration: Calibration,
        taken: Sequence[Sample],
        predictions: RawPredictions,
    ) -> Row:
        segmenter = contender.segmenter(contender.model, contender.classes, calibration)
        shown = {sample.name: number for number, sample in enumerate(in_every_kind(predictions.samples))}
        stored = zip(taken, predictions.of(taken), strict=True)
        seconds = 0.0

        def segment(images: Sequence[FloatArray]) -> list[Segmentation]:
            nonlocal seconds
            found = []
            for image in images:
                sample, prediction = next(stored)
                maps = (
                    prediction.passing(calibration) if contender.segmenter is Segmenter else prediction.maps
                )
                seconds += prediction.seconds[0] + (prediction.seconds[1] if maps else 0.0)
                found.append(segmenter.decide(prediction.logits, maps, maps, prediction.shape))
                if threshold == "labels" and sample.name in shown:
                    self._show(shown[sample.name], image, found[-1].mask)
            return found

        index, split = self.shared.split.index, self.shared.split
        measured = measure(
            segment,
            taken,
            index,
            classes=None if contender.classes == DEFECT else contender.classes,
            intensity=contender.model.spec.intensity,
        )
        metrics = measured.metrics(
            split="test",
            grouped=split.grouped,
            threshold=threshold_scores(calibration, saw_masks=calibration.saw_masks),
        )
        return Row(
            method=self.name,
            threshold=threshold,
            saw=self.method.saw,
            train_seconds=contender.train_seconds,
            seconds_per_image=seconds / len(taken),
            images=metrics.images,
            note=contender.note,
            pixel=metrics.pixel,
            per_class=metrics.per_class,
            mean_iou=metrics.mean_iou,
            clean=metrics.clean,
            image=metrics.image,
            ci95=metrics.ci95,
        )

    def _with_truth(
        self, contender: Contender, taken: Sequence[Sample], predictions: RawPredictions
    ) -> Iterator[tuple[RawPrediction, NDArray[np.uint8]]]:
        """RawPredictions, and true masks in the order of the method's classes, where they are known."""
        index, names = self.shared.split.index, contender.classes
        own = [names.index(name) + 1 if name in names else 0 for name in index.classes]
        if names == DEFECT:
            own = [1 for _ in index.classes]
        to_class = np.array([0, *own], np.uint8)
        for sample, prediction in zip(taken, predictions.of(taken), strict=True):
            if has_truth(sample):
                yield prediction, to_class[read_truth(sample, index)]

    def _show(self, number: int, image: FloatArray, mask: NDArray[np.uint8]) -> None:
        with whole(self.picture(number)) as part:
            Image.fromarray(fitted(painted(image, mask), LONGEST)).save(part)

    def picture(self, number: int) -> Path:
        """Where the mask of a picture of the page is kept."""
        return self.folder / "shown" / f"{number:02d}.png"


def best_of(rows: Sequence[Row], ranking: Ranking) -> Row:
    """The best that any of a method's thresholds reach: of any defect by IoU, of classes by their mean.

    Args:
        rows: of these thresholds.
        ranking: of any defect by the maps of all pictures, also of those called clean.
    """
    pixels = max(rows, key=lambda row: row.pixel.iou or 0.0)
    classes = max(rows, key=lambda row: row.mean_iou or 0.0)
    ranked = {"ap": ranking.average_precision(), "aupro": ranking.aupro()}
    update = {"mean_iou": classes.ci95.mean_iou, "per_class": classes.ci95.per_class}
    return pixels.model_copy(
        update={
            "threshold": "best",
            "pixel": pixels.pixel.model_copy(update=ranked),
            "per_class": classes.per_class,
            "mean_iou": classes.mean_iou,
            "ci95": pixels.ci95.model_copy(update=update),
        }
    )


def in_every_kind(samples: Sequence[Sample]) -> list[Sample]:
    """The first pictures with each combination of labels, at most SHOWN."""
    kinds: dict[frozenset[str], list[Sample]] = {}
    for sample in samples:
        kinds.setdefault(sample.labels, []).append(sample)
    each = max(2, SHOWN // len(kinds)) if kinds else 0
    chosen = {sample.name for members in kinds.values() for sample in members[:each]}
    return [sample for sample in samples if sample.name in chosen][:SHOWN]
