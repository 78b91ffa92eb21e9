"""Where a model, its relevance and its thresholds meet: image -> Segmentation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from relmask.data.reading import Intensity, read_image
from relmask.data.tiles import Window, across
from relmask.errors import RunError
from relmask.inference.explained import FloatArray, Reader, find_device
from relmask.inference.segmentation import reader_of
from relmask.masks.binarise import combine
from relmask.masks.calibration import Calibration, ClassThresholds
from relmask.masks.components import Component, find_components
from relmask.models.bundle import Metadata, load_model, read_metadata


@dataclass(frozen=True)
class Segmentation:
    """What relmask says of an image.

    Attributes:
        mask: (H, W), 0 = background, k = k-th of the run's classes.
        relevance: (H, W) in logits a pixel of the model's input, of the strongest class; None where the image
            was judged clean by its score, and nothing was explained.
        scores: probability of each class, 0.5 where presence and absence are as likely.
        score: probability of any defect.
        status: "defect" where the mask holds a pixel, else "clean".
        components: connected parts of the mask, largest first.
        maps: relevance (H, W) of every class that was explained.
        novelty: distance of the image's features to those of the nearest training image; 1 is what 1 % of
            the clean images exceed. None where the run cannot tell.
        unsure: why the answer should not be relied on; empty where nothing speaks against it.
    """

    mask: NDArray[np.uint8]
    relevance: FloatArray | None
    scores: Mapping[str, float]
    score: float
    status: str
    components: tuple[Component, ...]
    maps: Mapping[str, FloatArray] = field(default_factory=dict)
    novelty: float | None = None
    unsure: str = ""


class Segmenter:
    """Images to masks: a model, its relevance and its thresholds.

    Args:
        reader: the model.
        classes: defect classes, in the order of the logits.
        calibration: the thresholds.
    """

    def __init__(self, reader: Reader, classes: tuple[str, ...], calibration: Calibration) -> None:
        self.reader = reader
        self.classes = classes
        self.calibration = calibration

    @property
    def intensity(self) -> Intensity:
        """How pictures are read."""
        return self.reader.spec.intensity

    def segment_images(self, images: Sequence[FloatArray]) -> list[Segmentation]:
        """A result for each picture (H, W, 3) in [0, 1], of any size.

        A picture whose scores are all below their gates is clean: its mask is empty and nothing is explained.
        """
        if not images:
            return []
        cuts = [self.reader.cut(image) for image in images]
        logits, novelty = self.reader.look(torch.cat([inputs for inputs, _ in cuts]))
        counts = [len(inputs) for inputs, _ in cuts]
        found = [
            self._segment(image, inputs, places, rows.double().numpy())
            for image, (inputs, places), rows in zip(images, cuts, logits.split(counts), strict=True)
        ]
        if novelty is None:
            return found
        return [
            _doubted(one, float(part.max())) for one, part in zip(found, novelty.split(counts), strict=True)
        ]

    def _segment(
        self, picture: FloatArray, inputs: Tensor, places: list[Window], rows: NDArray[np.float64]
    ) -> Segmentation:
        passing, large = self.calibration.passing(rows, across(places)), self.calibration.large
        maps = self.reader.maps(picture, inputs, places, passing, large)
        height, width = picture.shape[:2]
        return self.decide(rows.max(axis=0), maps, (height, width))

    def decide(
        self, logits: NDArray[np.float64], maps: Mapping[int, FloatArray], shape: tuple[int, int]
    ) -> Segmentation:
        """What the thresholds make of the evidence in a picture.

        Args:
            logits: (K,).
            maps: smoothed relevance (H, W) of each class that passes its gate.
            shape: (H, W).
        """
        mask = combine(maps, {k: self._thresholds[k] for k in maps}, shape)
        strongest = max(maps, key=lambda k: self.calibration.standardised(logits)[k]) if maps else None
        return Segmentation(
            mask=mask,
            relevance=None if strongest is None else maps[strongest],
            scores={
                name: self._thresholds[k].probability(float(logits[k])) for k, name in enumerate(self.classes)
            },
            score=float(self.calibration.defect_probability(logits[None])[0]),
            status="defect" if mask.any() else "clean",
            components=find_components(mask, self.classes),
            maps={self.classes[k]: relevance for k, relevance in maps.items()},
        )

    @cached_property
    def _thresholds(self) -> list[ClassThresholds]:
        return [self.calibration.classes[name] for name in self.classes]


def _doubted(found: Segmentation, novelty: float) -> Segmentation:
    """The same with its novelty, and unsure beyond the limit: it may be a defect that no class names."""
    reason = f"unlike all training pictures (novelty {novelty:.2f}, limit 1)" if novelty > 1 else ""
    return replace(found, novelty=novelty, unsure=reason)


class Run:
    """A trained run on disk: its model, its thresholds, and what it was trained on."""

    def __init__(self, path: Path, metadata: Metadata, reader: Reader) -> None:
        self.path = path
        self.metadata = metadata
        self.reader = reader
        self._segmenter: Segmenter | None = None

    @property
    def segmenter(self) -> Segmenter:
        """What makes masks, with the thresholds that the run has now.

        Raises:
            RunError: the run has no thresholds yet.
        """
        if self.metadata.calibration is None:
            raise RunError(f"{self.path} has no thresholds. Choose them: relmask calibrate {self.path} DATA")
        if self._segmenter is None or self._segmenter.calibration is not self.metadata.calibration:
            self._segmenter = Segmenter(self.reader, self.metadata.classes, self.metadata.calibration)
        return self._segmenter

    def with_calibration(self, calibration: Calibration) -> "Run":
        """The same run with other thresholds; nothing is written."""
        return Run(self.path, self.metadata.model_copy(update={"calibration": calibration}), self.reader)

    def read(self, path: Path | str) -> FloatArray:
        """A file as an array (H, W, 3) in [0, 1], on the run's scale.

        Raises:
            ImageError: it cannot be read.
        """
        return read_image(Path(path), self.metadata.input.intensity)

    def segment(self, picture: Path | str | FloatArray) -> Segmentation:
        """Segment one picture: a file, or an array (H, W, 3) in [0, 1].

        Raises:
            ImageError: the file cannot be read.
        """
        if not isinstance(picture, np.ndarray):
            picture = self.read(picture)
        return self.segmenter.segment_images([picture])[0]


def load(
    run: Path | str, *, device: str = "auto", model: nn.Module | None = None, batch_size: int = 8
) -> Run:
    """Load a run that `train` wrote.

    Args:
        run: its folder.
        device: "auto", "cpu", "cuda" or another that torch knows.
        model: the module, where the run was trained on a user's own.
        batch_size: images, or windows, at once.

    Raises:
        RunError: not a run, or damaged.
        UsageError: no such device.
    """
    path = Path(run)
    metadata = read_metadata(path)
    network = load_model(path, metadata, model)
    reader = reader_of(network, metadata.input, metadata.composite, find_device(device), batch_size)
    return Run(path, metadata, reader)
