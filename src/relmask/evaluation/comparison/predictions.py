"""What a method says of each test picture before any threshold, kept so that a stopped method goes on."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from relmask.data.index import Sample
from relmask.data.reading import read_image
from relmask.data.tiles import across
from relmask.files import whole
from relmask.inference.model import Model
from relmask.masks.thresholds import Calibration
from relmask.progress import Progress

FloatArray = NDArray[np.float32]

FEWEST = 4
"""Pictures that a method is judged on, however little time there is."""


@dataclass(frozen=True)
class RawPrediction:
    """A picture as a method sees it.

    Attributes:
        logits: (K,).
        maps: what masks are cut from, (H, W), of the classes that pass their gate, and of the strongest.
        shape: (H, W).
        seconds: for the logits, and for the maps.
    """

    logits: NDArray[np.float64]
    maps: dict[int, FloatArray]
    shape: tuple[int, int]
    seconds: tuple[float, float]

    def passing(self, calibration: Calibration) -> dict[int, FloatArray]:
        """Maps of the classes that pass their gate."""
        passing = calibration.candidates(self.logits[None])[0]
        return {k: relevance for k, relevance in self.maps.items() if passing[k]}


def predict(model: Model, calibration: Calibration, picture: FloatArray) -> RawPrediction:
    """Logits of a picture (H, W, 3), and maps of what passes a gate or is strongest."""
    began = time.perf_counter()
    images, places = model.cut(picture)
    rows = model.logits(images).double().numpy()
    scored = time.perf_counter()
    passing = calibration.passing(rows, across(places))
    passing[np.unravel_index(calibration.standardised(rows).argmax(), rows.shape)] = True
    maps = model.support(model.maps(picture, images, places, passing), picture, calibration.floors)
    height, width = picture.shape[:2]
    seconds = (scored - began, time.perf_counter() - scored)
    return RawPrediction(rows.max(axis=0), maps, (height, width), seconds)


class RawPredictions:
    """RawPredictions at pictures in one order, as far as time goes.

    Args:
        folder: where they are kept.
        samples: pictures in the order in which they are looked at.
    """

    def __init__(self, folder: Path, samples: Sequence[Sample]) -> None:
        self.folder = folder
        self.samples = tuple(samples)

    def take(
        self, model: Model, calibration: Calibration, seconds: float, progress: Progress
    ) -> tuple[Sample, ...]:
        """Predict the missing pictures, until all predictions together took `seconds`.

        Returns:
            The pictures that were.
        """
        taken: list[Sample] = []
        for number, sample in enumerate(self.samples):
            if seconds <= 0 and len(taken) >= FEWEST:
                break
            if not self._path(number).is_file():
                picture = read_image(sample.path, model.spec.intensity)
                self._keep(number, predict(model, calibration, picture))
            seconds -= sum(self.load(number).seconds)
            taken.append(sample)
            progress("looking", number + 1, len(self.samples))
        return tuple(taken)

    def of(self, samples: Sequence[Sample]) -> Iterator[RawPrediction]:
        """The predictions for some of the pictures."""
        numbers = {sample.name: number for number, sample in enumerate(self.samples)}
        return (self.load(numbers[sample.name]) for sample in samples)

    def load(self, number: int) -> RawPrediction:
        """The prediction for the picture of this number."""
        with np.load(self._path(number)) as kept:
            maps = dict(zip(kept["classes"].tolist(), kept["maps"], strict=True))
            height, width = kept["shape"].tolist()
            scored, explained = kept["seconds"].tolist()
            return RawPrediction(kept["logits"], maps, (height, width), (scored, explained))

    def _keep(self, number: int, found: RawPrediction) -> None:
        with whole(self._path(number)) as part:
            np.savez(
                part,
                logits=found.logits,
                classes=np.array(list(found.maps), np.int64),
                maps=np.array([*found.maps.values()], np.float32),
                shape=np.array(found.shape),
                seconds=np.array(found.seconds),
            )

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:05d}.npz"


def in_proportion(samples: Sequence[Sample], seed: int) -> tuple[Sample, ...]:
    """The samples in an order whose every beginning holds the labels in about their proportion."""
    rng = np.random.default_rng(seed)
    places: dict[str, float] = {}
    strata: dict[frozenset[str], list[Sample]] = {}
    for sample in samples:
        strata.setdefault(sample.labels, []).append(sample)
    for _, members in sorted(strata.items(), key=lambda item: sorted(item[0])):
        for place, number in enumerate(rng.permutation(len(members))):
            places[members[number].name] = (place + 0.5) / len(members)
    return tuple(sorted(samples, key=lambda sample: places[sample.name]))
