"""Masks that hypothesis makes, and pictures of them."""

import json
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from relmask.data.index import Index
from relmask.data.truth import read_truth
from relmask.formats import FORMATS, Picture
from relmask.formats.annotation import stem

CLASSES = ("Kratzer, tief", "blow hole", "Ölfleck")

Mask = NDArray[np.uint8]

shapes = st.tuples(st.integers(1, 24), st.integers(1, 24))
binary = shapes.flatmap(lambda shape: arrays(np.bool_, shape))
masks = shapes.flatmap(lambda shape: arrays(np.uint8, shape, elements=st.integers(0, len(CLASSES))))

RING = np.array(
    [
        [0, 0, 0, 0, 0, 0, 0, 2],
        [0, 1, 1, 1, 1, 1, 2, 0],
        [0, 1, 0, 1, 0, 1, 0, 0],
        [0, 1, 1, 1, 1, 1, 0, 3],
        [0, 1, 0, 0, 3, 1, 3, 0],
        [0, 1, 1, 1, 1, 1, 0, 0],
    ],
    np.uint8,
)
"""Holes, a part inside a hole, parts of one pixel, parts that touch at a corner only, and at the border."""


def picture(mask: Mask, image: str = "ein Teil/ä, 1.png") -> Picture:
    return Picture(image, image.removesuffix(".png"), mask, 0.25, {"blow hole": 0.125, "Ölfleck": 0.75})


def exported(folder: Path, name: str, index: Index) -> Path:
    """The true masks of DATA as a tool of this format holds them when a person has submitted them."""
    with FORMATS[name].writing(folder, index.classes, "") as write:
        for sample in index.samples:
            if sample.labels:
                truth = read_truth(sample, index)
                write(Picture(sample.name, stem(sample.name), truth))
    if name == "label-studio":
        tasks = json.loads((folder / "tasks.json").read_text())
        answers = [{**task, "annotations": task.pop("predictions")} for task in tasks]
        (folder / "tasks.json").write_text(json.dumps(answers))
    return folder
