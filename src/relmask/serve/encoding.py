"""Segmentations encoded for JSON."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image

from relmask.arrays import ByteArray, FloatArray, Mask
from relmask.data.resizing import resize_map
from relmask.formats.runs import counts, to_text
from relmask.inference.segmenter import Segmentation
from relmask.masks.colours import class_colours
from relmask.serve.schemas import Part, Relevance, Runs, Segmented


@dataclass(frozen=True)
class Wanted:
    """Contents of an answer besides status, scores and parts.

    Attributes:
        mask: encoding of the mask.
        relevance: are maps of the classes that were explained sent too?
        side: longest side of the maps; larger ones are made smaller. None keeps the picture's size.
        preview: longest side of a JPEG of the picture, for programs that cannot show the file; None for none.
    """

    mask: Literal["png", "rle", "none"] = "png"
    relevance: bool = False
    side: int | None = None
    preview: int | None = None


def encode(
    wanted: Wanted, name: str, classes: Sequence[str], picture: FloatArray, found: Segmentation
) -> Segmented:
    """The result of a picture (H, W, 3) of that name."""
    height, width = found.mask.shape
    return Segmented(
        name=name,
        width=width,
        height=height,
        status=found.status,
        score=found.score,
        scores=dict(found.scores),
        logits=dict(found.logits),
        explained=found.explained,
        image_novelty=found.image_novelty,
        warning=found.warning,
        components=[Part(label=part.label, area=part.area, box=part.box) for part in found.components],
        png=_png(found.mask, len(classes)) if wanted.mask == "png" else None,
        rle=_runs(found.mask, classes) if wanted.mask == "rle" else None,
        relevance=_relevance(found, wanted.side) if wanted.relevance and found.maps else None,
        preview=_preview(picture, wanted.preview) if wanted.preview else None,
    )


def _png(mask: ByteArray, classes: int) -> str:
    picture = Image.fromarray(mask)
    picture.putpalette(class_colours(classes).tobytes())
    return _base64(picture, format="PNG")


def _runs(mask: ByteArray, classes: Sequence[str]) -> list[Runs]:
    height, width = mask.shape
    found = []
    for k in np.flatnonzero(np.bincount(mask.ravel())[1:]).tolist():
        inside: Mask = mask.transpose() == k + 1
        text = to_text(counts(inside, (width, height)))
        found.append(Runs(label=classes[k], size=(height, width), counts=text))
    return found


def _relevance(found: Segmentation, side: int | None) -> Relevance:
    height, width = _fitted(found.mask.shape, side)

    def encoded(values: FloatArray) -> str:
        resized = resize_map(torch.from_numpy(values)[None], height, width)[0].numpy()
        return base64.b64encode(resized.astype("<f4", copy=False).tobytes()).decode("ascii")

    return Relevance(
        height=height,
        width=width,
        classes={name: encoded(values) for name, values in found.maps.items()},
        novelty=None if found.novelty_map is None else encoded(found.novelty_map),
    )


def _preview(picture: FloatArray, side: int) -> str:
    height, width = _fitted(picture.shape, side)
    image = Image.fromarray(np.rint(picture * 255).astype(np.uint8)).resize(
        (width, height), Image.Resampling.BOX
    )
    return _base64(image, format="JPEG", quality=90)


def _fitted(shape: tuple[int, ...], side: int | None) -> tuple[int, int]:
    """Height and width, with the longer one no more than `side`."""
    factor = min(1.0, side / max(shape[:2])) if side else 1.0
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))


def _base64(image: Image.Image, **options: Any) -> str:  # noqa: ANN401 - what Pillow's writers take
    file = io.BytesIO()
    image.save(file, **options)
    return base64.b64encode(file.getvalue()).decode("ascii")
