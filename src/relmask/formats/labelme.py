"""LabelMe: a JSON file a picture with polygons in pixels, and the picture's path relative to it.

Polygons run along the edges of pixels, and those of one connected part share a `group_id`. The format has no
holes: a part with holes is cut into pieces without (see `polygons.without_holes`). `score` is a key of
relmask's that LabelMe keeps. Rectangles, circles and masks that a person draws are read too; points and lines
are left out, since they have no area. What is labelled `__ignore__` or `_background_` counts as background.

Source: github.com/wkentaro/labelme, its label files and `shape_to_mask`.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from relmask.errors import DataError
from relmask.files import printable, write_json
from relmask.formats.annotation import BACKGROUND, Annotation, Annotations, Picture, parts, rounded, score_of
from relmask.formats.documents import documents, is_file, load
from relmask.formats.fields import Damaged, as_score, as_size, corners, objects, picture_path, text
from relmask.formats.polygons import ellipse, rectangle, without_holes
from relmask.formats.rasters import read_inline
from relmask.formats.shapes import NoArea, Shape, annotation, gather, polygon, unless_empty

_VERSION = "5.5.0"  # of LabelMe, whose layout this is
_NO_CLASS = ("__ignore__", "_background_")  # as LabelMe's own converters have it
_NO_AREA = {"point": "points", "points": "points", "line": "lines", "linestrip": "lines"}


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


def describes(content: object) -> bool:
    """Whether it is what a JSON file in this format holds: a list of shapes."""
    return isinstance(content, dict) and isinstance(content.get("shapes"), list)


def read(path: Path) -> Annotations:
    """Annotations of a file, or of all such files below a folder; a damaged one is a picture that fails."""
    found: list[Annotation] = []
    left_out: Counter[str] = Counter()
    for file in documents(path):
        name = file.relative_to(path).as_posix() if path.is_dir() else file.name
        try:
            content = load(file)
            if describes(content):
                found.append(_annotation(file, PurePosixPath(name), content, left_out))
        except (DataError, Damaged) as error:
            reason = str(error) if isinstance(error, DataError) else f"{file}: {error}. Save it again."
            found.append(Annotation.unreadable(name.removesuffix(file.suffix), reason))
    return Annotations.of((), found, left_out)


def _annotation(
    file: Path, name: PurePosixPath, content: dict[str, Any], left_out: Counter[str]
) -> Annotation:
    image = picture_path(content, "imagePath") if content.get("imagePath") else name.stem
    picture = file.parent / image
    shapes = [(f"shape {number}", shape) for number, shape in enumerate(objects(content, "shapes"), start=1)]
    return annotation(
        _below(name.parent, image),
        gather(shapes, _shape, left_out),
        size=partial(as_size, content.get("imageHeight"), content.get("imageWidth")),
        score=as_score(content.get("score")),
        file=picture if is_file(picture) else None,
    )


def _below(folder: PurePosixPath, image: str) -> str:
    """The picture from where reading began, not from where its file lies, as far as that can be said."""
    apart = (
        ".." in PurePosixPath(image).parts or PureWindowsPath(image).is_absolute() or image.startswith("/")
    )
    return image if apart else (folder / image).as_posix()


def _shape(shape: dict[str, Any]) -> Shape:
    label = text(shape, "label")
    kind = text(shape, "shape_type") if shape.get("shape_type") else "polygon"
    if kind in _NO_AREA:
        raise NoArea(_NO_AREA[kind])
    said = BACKGROUND if label in _NO_CLASS else label
    points, score = corners(shape.get("points")), shape.get("score")
    match kind:
        case "polygon" | "oriented_rectangle" | "rotation":
            return polygon(said, points, score)
        case "rectangle" if len(points) > 1:
            return polygon(said, rectangle(*points.min(0), *points.max(0)), score)
        case "circle" if len(points) > 1:
            radius = float(np.hypot(*(points[1] - points[0])))
            return polygon(said, ellipse(points[0, 0], points[0, 1], radius, radius), score)
        case "mask" if len(points):
            left, top = np.rint(points[0]).astype(int).tolist()
            inside = shape.get("mask")
            return Shape(said, lambda size: unless_empty(read_inline(inside), top, left), score)
        case "rectangle" | "circle" | "mask":
            raise Damaged(f"a {kind} lacks points")
    raise NoArea(f"shapes of the unknown type {kind}")
