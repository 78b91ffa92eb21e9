"""A run that needs no network: what is darker than half is a pit, what is brighter than 0.9 a scratch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from relmask.data.reading import Intensity
from relmask.models.bundle import Input, Metadata


@dataclass(frozen=True)
class FakeSegmentation:
    mask: NDArray[np.uint8]
    relevance: NDArray[np.float32] | None
    scores: dict[str, float]
    score: float
    label: str
    components: tuple[object, ...]
    image_novelty: float | None = None
    warning: str = ""


@dataclass
class FakeSegmenter:
    classes: tuple[str, ...] = ("pit", "scratch")
    intensity: Intensity = field(default_factory=Intensity)
    seen: int = 0
    score: Callable[[float], float] = lambda score: score
    before: Callable[[int], None] = lambda seen: None

    def segment_images(self, images: Sequence[NDArray[np.float32]]) -> list[FakeSegmentation]:
        return [self._segment(image) for image in images]

    def _segment(self, image: NDArray[np.float32]) -> FakeSegmentation:
        self.before(self.seen)
        self.seen += 1
        grey = image.mean(2)
        mask = np.where(grey < 0.5, 1, np.where(grey > 0.9, 2, 0)).astype(np.uint8)
        found = mask.any()
        return FakeSegmentation(
            mask=mask,
            relevance=grey if found else None,
            scores={"pit": float((mask == 1).mean()), "scratch": float((mask == 2).mean())},
            score=self.score(float(found)),
            label="defect" if found else "clean",
            components=("one",) if found else (),
        )


METADATA = Metadata(
    relmask="0",
    architecture=None,
    classes=("pit", "scratch"),
    clean="ok",
    input=Input(size=64, windows=False, mean=(0, 0, 0), std=(1, 1, 1), sigma=0, intensity=Intensity()),
    composite="relmask",
    calibration=None,
    split="given",
    data="/parts",
    fingerprint="",
    settings={},
    command="relmask train /parts -o run",
)


@dataclass
class FakeRun:
    path: Path
    metadata: Metadata = METADATA
    segmenter: FakeSegmenter = field(default_factory=FakeSegmenter)


def picture(path: Path, *, pit: bool = False, size: tuple[int, int] = (12, 8)) -> Path:
    """Write a grey picture of (width, height), black in its left upper quarter if there is a pit."""
    pixels = np.full((size[1], size[0]), 180, np.uint8)
    if pit:
        pixels[: size[1] // 2, : size[0] // 2] = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path
