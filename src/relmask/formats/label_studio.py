"""Label Studio: tasks with predictions, masks as brush regions; and what a person made of them.

    tasks.json     one task a picture, to import
    config.xml     the labelling interface, to paste into the project's settings

A prediction's `score` is how sure the model is, 0.5 to 1: sorted by it, the pictures in doubt come first. A
region's is the probability of its class, and `defect_probability` in the task's data that of any defect.

In an export, a person's annotation counts before a prediction; of several, one marked as ground truth, else
the newest that was not cancelled. Polygons, rectangles and ellipses are read too.

Source: labelstud.io/guide/predictions, /tags/brushlabels, /guide/task_format; see `brush` for the code.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np

from relmask.arrays import DoubleArray, Mask
from relmask.errors import ImageError
from relmask.files import printable, whole, write_text
from relmask.formats.addresses import located, picture_of
from relmask.formats.annotation import Annotation, Annotations, Picture, Size, parts, rounded, score_of
from relmask.formats.brush import decode, encode
from relmask.formats.documents import appending, documents, load
from relmask.formats.fields import (
    Damaged,
    as_score,
    as_size,
    corners,
    damage_at,
    damage_in,
    number,
    objects,
    text,
)
from relmask.formats.polygons import ellipse, fill, rectangle, rotated
from relmask.formats.rasters import read_inline
from relmask.formats.shapes import NoArea, Shape, annotation, gather, require_area, unless_empty
from relmask.masks.colours import class_colours

FROM_NAME, TO_NAME = "label", "image"
MODEL_VERSION = "relmask"
MOST_REGIONS = 32
"""Of a class in a picture: each region is a canvas of the picture's size in the browser."""

_AREAS = ({"rle"}, {"imageDataURL"}, {"points"}, {"radiusX", "radiusY"}, {"x", "y", "width", "height"})
"""Keys of the values that describe an area: brush, bitmask, polygon, ellipse, rectangle."""

Result = dict[str, Any]


def config(classes: Sequence[str]) -> str:
    """The labelling interface that the results fit."""
    colours = class_colours(len(classes))[1:].tolist()
    described = "".join(
        f'    <Label value={quoteattr(name)} background="#{red:02x}{green:02x}{blue:02x}"/>\n'
        for name, (red, green, blue) in zip(classes, colours, strict=True)
    )
    return (
        f'<View>\n  <Image name="{TO_NAME}" value="$image" zoom="true" zoomControl="true"/>\n'
        f'  <BrushLabels name="{FROM_NAME}" toName="{TO_NAME}">\n{described}  </BrushLabels>\n</View>\n'
    )


def prediction(
    picture: Picture,
    classes: Sequence[str],
    *,
    model_version: str = MODEL_VERSION,
    from_name: str = FROM_NAME,
    to_name: str = TO_NAME,
) -> dict[str, Any]:
    """A prediction: `result` with a brush region for each connected part, `score` and `model_version`.

    Args:
        picture: the mask and its scores.
        classes: names of the mask's values.
        model_version: shown in the interface.
        from_name: of the tag BrushLabels.
        to_name: of the tag Image.
    """
    regions = list(results(picture, classes, from_name=from_name, to_name=to_name))
    said = {} if picture.certainty is None else {"score": picture.certainty}
    return {"model_version": model_version, **said, "result": regions}


def results(
    picture: Picture, classes: Sequence[str], *, from_name: str = FROM_NAME, to_name: str = TO_NAME
) -> Iterator[Result]:
    """The mask as brush regions, at most `MOST_REGIONS` a class."""
    height, width = picture.mask.shape
    for count, region in enumerate(parts(picture.mask, classes, MOST_REGIONS)):
        score = score_of(picture, region.label)
        yield {
            "id": hashlib.sha256(f"{printable(picture.image)}/{count}".encode()).hexdigest()[:10],
            "type": "brushlabels",
            "from_name": from_name,
            "to_name": to_name,
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "value": {
                "format": "rle",
                "rle": encode(region.inside, (height, width), region.top, region.left),
                "brushlabels": [region.label],
            },
            **({} if score is None else {"score": score}),
        }


@contextmanager
def writing(folder: Path, classes: Sequence[str], image_root: str) -> Iterator[Callable[[Picture], None]]:
    """Give what appends one picture's task.

    Args:
        folder: of the files.
        classes: names of the masks' values.
        image_root: what Label Studio finds the pictures below, a path or a URL such as
            `/data/local-files/?d=parts`.
    """
    write_text(folder / "config.xml", config(classes))
    with (
        whole(folder / "tasks.json") as part,
        part.open("w", encoding="utf-8", newline="\n") as file,
        appending(file) as append,
    ):

        def add(picture: Picture) -> None:
            height, width = picture.mask.shape
            image = located(image_root, printable(picture.image))
            data: dict[str, Any] = {"image": image, "width": width, "height": height}
            if picture.score is not None:
                data["defect_probability"] = rounded(picture.score)
            append({"data": data, "predictions": [prediction(picture, classes)]})

        yield add


def describes(content: object) -> bool:
    """Whether it is what a JSON export holds: a list of tasks, of JSON-MIN too, which `read` refuses."""
    return isinstance(content, list) and all(
        isinstance(task, dict) and ("data" in task or "annotation_id" in task) for task in content[:1]
    )


def read(path: Path) -> Annotations:
    """Tasks of a JSON export (not JSON-MIN), or of all such files below a folder.

    Raises:
        DataError: a file is damaged.
    """
    found: list[Annotation] = []
    left_out: Counter[str] = Counter()
    for file in documents(path):
        content = load(file)
        if describes(content):
            with damage_in(file, "JSON export of Label Studio"):
                for number, task in enumerate(objects({"tasks": content}, "tasks"), start=1):
                    with damage_at(f"task {number}"):
                        found += _annotations(task, left_out)
    return Annotations.of((), found, left_out)


def _annotations(task: dict[str, Any], left_out: Counter[str]) -> Iterator[Annotation]:
    """What is said of the task's picture; nothing where nobody says anything."""
    data = task.get("data")
    if not isinstance(data, dict):
        raise Damaged("`data` should be an object, as it is in JSON, but not in JSON-MIN")
    results, reviewed = _answer(task, left_out)
    if results is None:
        left_out["tasks without annotations"] += 1
        return
    regions = _regions(results)
    shown = {str(result.get("to_name")) for region in regions if region.shape for result in region.results}
    image = picture_of(data, shown, TO_NAME)
    if image is None:
        left_out["tasks that name no picture"] += 1
    elif len(shown) > 1:
        yield Annotation.unreadable(
            image, "drawn on several pictures of one task. Give each a task of its own."
        )
    else:
        yield annotation(
            image,
            gather(
                [(f"region {region.name}", region) for region in regions], partial(_shape, left_out), left_out
            ),
            size=partial(_size, image, results, data),
            score=as_score(data.get("defect_probability")),
            reviewed=reviewed,
        )


def _answer(task: dict[str, Any], left_out: Counter[str]) -> tuple[list[dict[str, Any]] | None, bool]:
    """What is drawn in a task, and whether by a person; None where nothing is said."""
    answers = [answer for answer in _objects(task, "annotations") if not answer.get("was_cancelled")]
    if answers:
        best = max(answers, key=lambda a: (bool(a.get("ground_truth")), str(a.get("updated_at") or "")))
        if len(answers) > 1:
            left_out["annotations of tasks that have a newer one"] += len(answers) - 1
        return _objects(best, "result"), True
    predictions = _objects(task, "predictions")
    return (_objects(predictions[-1], "result"), False) if predictions else (None, False)


def _objects(holder: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The objects in the list at `key`; some exports give ids in place of them, which say nothing."""
    found = holder.get(key) or []
    if not isinstance(found, list):
        raise Damaged(f"`{key}` should be a list")
    return [item for item in found if isinstance(item, dict)]


def _size(image: str, results: Sequence[Result], data: Mapping[str, Any]) -> Size | None:
    """What regions say of the picture's size, or else what the task's data do.

    Raises:
        ImageError: they say several things.
    """
    told = [as_size(result.get("original_height"), result.get("original_width")) for result in results]
    sizes = sorted({size for size in told if size})
    if len(sizes) > 1:
        found = " and ".join(f"{width}x{height}" for height, width in sizes)
        raise ImageError(f"{image}: its regions were drawn on pictures of {found} pixels. Draw them again.")
    return sizes[0] if sizes else as_size(data.get("height"), data.get("width"))


@dataclass(frozen=True)
class _Region:
    """Results with one id: one may hold the shape and another the label, or both may hold both."""

    name: str
    results: tuple[Result, ...]

    @property
    def _values(self) -> list[dict[str, Any]]:
        return [value for result in self.results if isinstance(value := result.get("value"), dict)]

    @property
    def kind(self) -> str:
        """The type of the first result, in Label Studio's words."""
        return str(self.results[0].get("type"))

    @property
    def labels(self) -> list[str]:
        """The classes, each once; values of choices and the like are none."""
        named = [
            text({key: name}, key)
            for value in self._values
            for key, names in value.items()
            if key.endswith("labels") and isinstance(names, list)
            for name in names
        ]
        return list(dict.fromkeys(named))

    @property
    def shape(self) -> dict[str, Any] | None:
        """The value that describes an area, or None where none does."""
        return next((value for value in self._values if any(keys <= value.keys() for keys in _AREAS)), None)


def _regions(results: Sequence[Result]) -> list[_Region]:
    grouped: dict[str, list[Result]] = {}
    for place, result in enumerate(results, start=1):
        name = result.get("id")
        grouped.setdefault(name if name and isinstance(name, str) else f"number {place}", []).append(result)
    return [_Region(name, tuple(group)) for name, group in grouped.items()]


def _shape(left_out: Counter[str], region: _Region) -> Shape:
    value, labels = region.shape, region.labels
    if value is None:
        raise NoArea("key points" if region.kind.startswith("keypoint") else f"results of type {region.kind}")
    if not labels:
        raise NoArea("regions without a label")
    if any(result.get("image_rotation") for result in region.results):
        raise Damaged("the picture was turned in Label Studio")
    if len(labels) > 1:
        left_out["labels of regions that have an earlier one"] += len(labels) - 1
    score = next((result["score"] for result in region.results if "score" in result), None)
    return Shape(labels[0], _drawing(value), score)


def _drawing(value: dict[str, Any]) -> Callable[[Size], tuple[Mask, int, int] | None]:
    """How to draw a value, given the picture's size; numbers in it are percent of that."""
    if "rle" in value:
        if not isinstance(code := value["rle"], list):
            raise Damaged("`rle` should be a list of numbers")
        return lambda size: unless_empty(*decode(code, size))
    if "imageDataURL" in value:
        return partial(_bitmask, value["imageDataURL"])
    if "points" in value:
        if value.get("closed") is False:
            raise NoArea("open lines")
        points = corners(value["points"])
        require_area(points)
        return lambda size: fill([points * _percent(size)], size)
    x, y, degrees = number(value, "x"), number(value, "y"), number(value, "rotation", 0)
    if "radiusX" in value:
        loop = ellipse(x, y, number(value, "radiusX"), number(value, "radiusY"))
    else:
        loop = rectangle(x, y, x + number(value, "width"), y + number(value, "height"))
    require_area(loop)

    def draw(size: Size) -> tuple[Mask, int, int]:
        # Rectangles are turned around their left upper corner, ellipses around their centre.
        return fill([rotated(loop * _percent(size), degrees, *(np.array([x, y]) * _percent(size)))], size)

    return draw


def _percent(size: Size) -> DoubleArray:
    return np.array([size[1], size[0]]) / 100


def _bitmask(code: object, size: Size) -> tuple[Mask, int, int] | None:
    inside = read_inline(code)
    if inside.shape != size:
        raise Damaged(f"its bitmask has {inside.shape[1]}x{inside.shape[0]} pixels, not {size[1]}x{size[0]}")
    return unless_empty(inside)
