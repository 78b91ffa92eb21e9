"""A run that needs no network: what is darker than half is a pit, what is brighter than 0.9 a scratch."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from relmask.data.reading import Intensity
from relmask.inference.run import Run
from relmask.inference.segmenter import Segmentation, Segmenter
from relmask.masks.components import find_components
from relmask.models.bundle import Input, Metadata

METADATA = Metadata(
    relmask="0",
    architecture=None,
    classes=("pit", "scratch"),
    clean="ok",
    input=Input(size=64, windows=False, mean=(0, 0, 0), std=(1, 1, 1), intensity=Intensity()),
    composite="relmask",
    calibration=None,
    split="given",
    data="/parts",
    fingerprint="",
    settings={},
    command="relmask train /parts -o run",
)


class FakeSegmenter(Segmenter):
    """Looks at pixels instead of asking a network.

    Attributes:
        seen: pictures so far.
        score_of: score of a picture in which something was found (1) or not (0).
        before: called before each picture with the number of those before it.
    """

    def __init__(self) -> None:
        self.classes = METADATA.classes
        self.seen = 0
        self.score_of: Callable[[float], float] = lambda score: score
        self.before: Callable[[int], None] = lambda seen: None

    @property
    def intensity(self) -> Intensity:
        return METADATA.input.intensity

    def segment_images(self, images: Sequence[NDArray[np.float32]]) -> list[Segmentation]:
        return [self._look(image) for image in images]

    def _look(self, image: NDArray[np.float32]) -> Segmentation:
        self.before(self.seen)
        self.seen += 1
        grey = image.mean(2)
        mask = np.where(grey < 0.5, 1, np.where(grey > 0.9, 2, 0)).astype(np.uint8)
        found = mask.any()
        return Segmentation(
            mask=mask,
            relevance=grey if found else None,
            scores={"pit": float((mask == 1).mean()), "scratch": float((mask == 2).mean())},
            score=self.score_of(float(found)),
            status="defect" if found else "clean",
            components=find_components(mask, self.classes),
        )


class FakeRun(Run):
    """A run in a folder, with a segmenter that looks at pixels."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metadata = METADATA
        self.fake = FakeSegmenter()

    @property
    def segmenter(self) -> FakeSegmenter:
        return self.fake


def picture(path: Path, *, pit: bool = False, size: tuple[int, int] = (12, 8)) -> Path:
    """Write a grey picture of (width, height), black in its left upper quarter if there is a pit."""
    pixels = np.full((size[1], size[0]), 180, np.uint8)
    if pit:
        pixels[: size[1] // 2, : size[0] // 2] = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path
