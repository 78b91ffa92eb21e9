"""LabelMe: a JSON file a picture with polygons in pixels, and the picture's path relative to it.

Polygons run along the edges of pixels, and those of one connected part share a `group_id`. The format has no
holes: a part with holes is cut into pieces without (see `polygons.without_holes`). `score` is a key of
relmask's that LabelMe keeps. Rectangles, circles and masks that a person draws are read too; points and lines
are left out, since they have no area.

Source: github.com/wkentaro/labelme, its label files and `shape_to_mask`.
"""

import base64
import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from relmask.errors import DataError
from relmask.files import printable, write_json
from relmask.formats.annotation import (
    Annotation,
    Annotations,
    Picture,
    Region,
    Size,
    parts,
    rounded,
    score_of,
    scores_from,
)
from relmask.formats.documents import documents, first_is, load
from relmask.formats.polygons import ellipse, fill, rectangle, without_holes

_VERSION = "5.5.0"  # of LabelMe, whose layout this is


@contextmanager
def writing(folder: Path, classes: Sequence[str], image_root: str) -> Iterator[Callable[[Picture], None]]:
    """Give what writes one picture's file; `image_root` has no place in this format."""

    def add(picture: Picture) -> None:
        file = folder / f"{picture.name}.json"
        height, width = picture.mask.shape
        content = {
            "version": _VERSION,
            "flags": {},
            "shapes": list(_shapes(picture, classes)),
            "imagePath": printable(_relative(picture, file.parent)),
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
            **({} if picture.score is None else {"score": rounded(picture.score)}),
        }
        write_json(file, content)

    yield add


def _relative(picture: Picture, folder: Path) -> str:
    """The picture as LabelMe looks for it: from where its JSON file lies."""
    if picture.file is None:
        return picture.image
    try:
        return Path(os.path.relpath(picture.file, folder)).as_posix()
    except ValueError:  # on another drive
        return picture.file.as_posix()


def _shapes(picture: Picture, classes: Sequence[str]) -> Iterator[dict[str, Any]]:
    for number, region in enumerate(parts(picture.mask, classes), start=1):
        score = score_of(picture, region.label)
        for loop in without_holes(region.inside):
            yield {
                "label": region.label,
                "points": (loop + np.array([region.left, region.top])).tolist(),
                "group_id": number,
                "description": "",
                "shape_type": "polygon",
                "flags": {},
                "mask": None,
                **({} if score is None else {"score": score}),
            }


def recognises(path: Path) -> bool:
    """Whether it is such a file, or a folder whose first JSON file is one."""
    return first_is(path, _is_labelme)


def _is_labelme(content: object) -> bool:
    return isinstance(content, dict) and "shapes" in content


def read(path: Path) -> Annotations:
    """Annotations of a file, or of all such files below a folder.

    Raises:
        DataError: a file is damaged.
    """
    found = []
    for file in documents(path):
        content = load(file)
        if _is_labelme(content):
            try:
                found.append(_annotation(file, content))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise DataError(f"{file} is no complete LabelMe file ({error!r}). Save it again.") from error
    return Annotations.of((), found)


def _annotation(file: Path, content: dict[str, Any]) -> Annotation:
    image = str(content.get("imagePath") or file.stem).replace("\\", "/")
    shapes = [(str(shape["label"]), shape) for shape in content["shapes"]]
    width, height = content.get("imageWidth"), content.get("imageHeight")
    score = content.get("score")
    return Annotation(
        image=image,
        regions=partial(_regions, shapes),
        size=lambda: (int(height), int(width)) if width and height else None,
        labels=frozenset(label for label, _ in shapes),
        score=float(score) if isinstance(score, int | float) else None,
        scores=scores_from((label, shape.get("score")) for label, shape in shapes),
        file=file.parent / image if (file.parent / image).is_file() else None,
    )


def _regions(shapes: Sequence[tuple[str, dict[str, Any]]], size: Size) -> Iterator[Region]:
    for label, shape in shapes:
        points = np.array(shape["points"], np.float64).reshape(-1, 2)
        match shape.get("shape_type") or "polygon":
            case "polygon" | "oriented_rectangle":
                yield Region(label, *fill([points], size))
            case "rectangle":
                yield Region(label, *fill([rectangle(*points.min(0), *points.max(0))], size))
            case "circle":
                radius = float(np.hypot(*(points[1] - points[0])))
                x, y = points[0].tolist()
                yield Region(label, *fill([ellipse(x, y, radius, radius)], size))
            case "mask":
                left, top = np.rint(points[0]).astype(int).tolist()
                yield Region(label, _decoded(shape["mask"]), top, left)


def _decoded(mask: str) -> NDArray[np.bool_]:
    with Image.open(io.BytesIO(base64.b64decode(mask)), formats=["PNG"]) as image:
        return np.asarray(image.convert("L")) > 0
