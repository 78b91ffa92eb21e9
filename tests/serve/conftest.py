"""Runs that see red and green: relevance is the colour itself, so that every mask is known beforehand."""

import io
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

import relmask
from relmask.data.reading import Intensity
from relmask.inference.explained import ExplainedClassifier
from relmask.inference.run import Run
from relmask.inference.segmentation import SegmentationModel
from relmask.masks.thresholds import Calibration, ClassThresholds
from relmask.models.bundle import Input, Metadata, UNetArchitecture, save_metadata
from relmask.serve import Server, Settings
from tests.inference.test_segmenter import Colours

SIZE = 32
CLASSES = ("red stain", "green")


@pytest.fixture
def colours(tmp_path: Path) -> Run:
    """A picture is a defect where more than 4 pixels' worth of a colour is in it."""
    return seeing_colours(tmp_path / "run", windows=True)


@pytest.fixture
def client(colours: Run) -> Iterator[httpx.Client]:
    with serving(colours) as client:
        yield client


@pytest.fixture
def student(tmp_path: Path) -> Run:
    """A student that learned from corrected masks: a pixel of more than half a colour shows its class."""
    spec = _input(windows=True)
    thresholds = ClassThresholds(clean_median=-9, clean_spread=1, gate=0, level=0.5, slope=1, offset=0)
    metadata = _metadata(
        spec,
        thresholds,
        architecture=UNetArchitecture(backbone="vgg-narrow"),
        composite="",
        trained_on_masks=True,
    )
    save_metadata(tmp_path / "student", metadata)
    return Run(tmp_path / "student", metadata, SegmentationModel(ColourMaps(), spec, torch.device("cpu"), 4))


class ColourMaps(nn.Module):
    """Logits of red and green: 9 in full colour, -9 in none."""

    def forward(self, images: Tensor) -> Tensor:
        return images[:, :2] * 18 - 9


def seeing_colours(run: Path, *, windows: bool) -> Run:
    """Make such a run; `windows` or not, one pixel of full colour has a relevance of 1."""
    spec = _input(windows=windows)
    thresholds = ClassThresholds(clean_median=0, clean_spread=1, gate=4, level=0.3, slope=1, offset=-4)
    metadata = _metadata(spec, thresholds)
    save_metadata(run, metadata)
    return Run(
        run, metadata, ExplainedClassifier(Colours(), spec, "epsilon_plus", torch.device("cpu"), batch_size=4)
    )


def _input(windows: bool) -> Input:
    return Input(size=SIZE, windows=windows, mean=(0, 0, 0), std=(1, 1, 1), intensity=Intensity())


def _metadata(spec: Input, thresholds: ClassThresholds, **changes: Any) -> Metadata:  # noqa: ANN401
    usual: dict[str, Any] = {
        "relmask": relmask.__version__,
        "architecture": None,
        "classes": CLASSES,
        "clean": "ok",
        "input": spec,
        "composite": "epsilon_plus",
        "calibration": Calibration(
            classes=dict.fromkeys(CLASSES, thresholds),
            false_alarms=0.01,
            slope=1,
            offset=-4,
            saw_masks=False,
            negatives=9,
            groups=9,
            cross_fitted=False,
        ),
        "split": "grouped",
        "data": "parts",
        "fingerprint": "0",
        "settings": {},
        "command": "relmask train parts",
    }
    return Metadata(**(usual | changes))


def picture(
    spots: Mapping[int, tuple[slice, slice]] | None = None, height: int = SIZE, width: int = SIZE
) -> NDArray[np.uint8]:
    """Black, with full spots of one colour channel each."""
    image = np.zeros((height, width, 3), np.uint8)
    for channel, (rows, columns) in (spots or {}).items():
        image[rows, columns, channel] = 255
    return image


RED = {0: (slice(2, 8), slice(3, 13))}
GREEN = {1: (slice(20, 24), slice(5, 9))}


def png(image: NDArray[np.uint8]) -> bytes:
    """The image as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="PNG")
    return file.getvalue()


def sent(*images: NDArray[np.uint8] | bytes) -> list[tuple[str, tuple[str, bytes]]]:
    """What httpx takes as `files`, named 0.png, 1.png ..."""
    contents = [image if isinstance(image, bytes) else png(image) for image in images]
    return [("images", (f"{number}.png", content)) for number, content in enumerate(contents)]


@contextmanager
def serving(run: Run, settings: Settings | None = None) -> Iterator[httpx.Client]:
    """The run behind a real server on a free port of this machine, and a client for it."""
    started = threading.Event()
    server = Server(run, settings or Settings(port=0), announce=lambda url: started.set())
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert started.wait(60)
        headers = {"authorization": f"Bearer {settings.token}"} if settings and settings.token else {}
        with httpx.Client(base_url=server.url, headers=headers, timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


def eventually(true: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def only(answer: httpx.Response) -> dict[str, Any]:
    """The entry of the one image of an answer."""
    assert answer.status_code == 200, answer.text
    [entry] = answer.json()["images"]
    found: dict[str, Any] = entry
    return found
