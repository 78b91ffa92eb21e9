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
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from relmask.errors import DataError
from relmask.files import printable, whole, write_text
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
from relmask.formats.brush import decode, encode
from relmask.formats.documents import appending, documents, first_is, load
from relmask.formats.polygons import ellipse, fill, rectangle, rotated
from relmask.masks.colours import class_colours

FROM_NAME, TO_NAME = "label", "image"
MODEL_VERSION = "relmask"
MOST_REGIONS = 32
"""Of a class in a picture: each region is a canvas of the picture's size in the browser."""

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
    for number, region in enumerate(parts(picture.mask, classes, MOST_REGIONS)):
        score = score_of(picture, region.label)
        yield {
            "id": hashlib.sha256(f"{printable(picture.image)}/{number}".encode()).hexdigest()[:10],
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


def located(root: str, image: str) -> str:
    """A picture below a path or a URL; what a URL cannot hold as it is, is quoted.

    >>> located("/data/local-files/?d=parts", "ein Teil.png"), located("parts", "a.png")
    ('/data/local-files/?d=parts/ein%20Teil.png', 'parts/a.png')
    """
    if _is_url(root):
        image = quote(image)
    return f"{root}{'' if not root or root.endswith(('/', '=')) else '/'}{image}"


def name_of(url: str) -> str:
    """The picture's path in what a task calls it: a path, a URL, local storage, or an upload.

    >>> name_of("/data/local-files/?d=parts/ein%20Teil.png"), name_of("/data/upload/3/0a1b2c3d-a.png")
    ('parts/ein Teil.png', 'a.png')
    """
    if not _is_url(url):
        return url
    parsed = urlsplit(url)
    if "d" in (query := parse_qs(parsed.query)):
        return query["d"][0]
    path = unquote(parsed.path).lstrip("/")
    upload = re.fullmatch(r"data/upload/\d+/[0-9a-f]{8}-([^/]+)", path)
    return upload.group(1) if upload else path


def _is_url(text: str) -> bool:
    """Whether it is a URL, or a path on Label Studio's own server."""
    return "://" in text or text.startswith("/data/")


def recognises(path: Path) -> bool:
    """Whether it is such a file, or a folder whose first JSON file is one."""
    return first_is(path, _is_tasks)


def _is_tasks(content: object) -> bool:
    return isinstance(content, list) and all(
        isinstance(task, dict) and "data" in task for task in content[:1]
    )


def read(path: Path) -> Annotations:
    """Tasks of a JSON export (not JSON-MIN), or of all such files below a folder.

    Raises:
        DataError: a file is damaged.
    """
    found: list[Annotation] = []
    for file in documents(path):
        content = load(file)
        if not _is_tasks(content):
            continue
        try:
            found += [annotation for task in content if (annotation := _annotation(task)) is not None]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{file} is no complete JSON export of Label Studio ({error!r}).") from error
    return Annotations.of((), found)


def _annotation(task: dict[str, Any]) -> Annotation | None:
    data = task["data"]
    image = data.get(TO_NAME) or next((value for value in data.values() if isinstance(value, str)), None)
    drawn, reviewed = _answer(task)
    if image is None or drawn is None:
        return None
    shapes = [(label, shape) for shape in drawn if (label := _label(shape)) is not None]
    told = [(s["original_height"], s["original_width"]) for _, s in shapes]
    if not told and "height" in data and "width" in data:
        told = [(data["height"], data["width"])]
    sizes = {(int(height), int(width)) for height, width in told}
    score = data.get("defect_probability")
    return Annotation(
        image=name_of(str(image)),
        regions=partial(_regions, shapes),
        size=partial(_only, sizes),
        labels=frozenset(label for label, _ in shapes),
        score=float(score) if isinstance(score, int | float) else None,
        scores=scores_from((label, shape.get("score")) for label, shape in shapes),
        reviewed=reviewed,
    )


def _answer(task: dict[str, Any]) -> tuple[list[dict[str, Any]] | None, bool]:
    """What is drawn in a task, and whether by a person; None where nothing is said."""
    answers = [answer for answer in task.get("annotations") or [] if not answer.get("was_cancelled")]
    if answers:
        best = max(answers, key=lambda a: (bool(a.get("ground_truth")), str(a.get("updated_at") or "")))
        return list(best.get("result") or []), True
    predictions = task.get("predictions") or []
    return (list(predictions[-1].get("result") or []), False) if predictions else (None, False)


def _label(shape: dict[str, Any]) -> str | None:
    """The class of a region; None for what is no region of the picture, such as a choice."""
    names = shape["value"].get(shape.get("type")) or shape["value"].get("labels")
    return str(names[0]) if isinstance(names, list) and names and "original_width" in shape else None


def _only(sizes: set[Size]) -> Size | None:
    return next(iter(sizes)) if len(sizes) == 1 else None


def _regions(shapes: Sequence[tuple[str, dict[str, Any]]], size: Size) -> Iterator[Region]:
    for label, shape in shapes:
        if shape.get("image_rotation"):
            raise ValueError("the picture was turned in Label Studio")
        value = shape["value"]
        if "rle" in value:
            yield Region(label, *decode(value["rle"], size))
        else:
            yield Region(label, *fill([_corners(value, size)], size))


def _corners(value: dict[str, Any], size: Size) -> NDArray[np.float64]:
    """Corners in pixels of a region given in percent; turned around its left upper corner or its centre."""
    scale = np.array([size[1], size[0]]) / 100
    if "points" in value:
        return np.array(value["points"], np.float64).reshape(-1, 2) * scale
    (x, y), degrees = np.array([value["x"], value["y"]]) * scale, float(value.get("rotation") or 0)
    if "radiusX" in value:
        radii = np.array([value["radiusX"], value["radiusY"]]) * scale
        return rotated(ellipse(x, y, *radii), degrees, x, y)
    right, bottom = (x, y) + np.array([value["width"], value["height"]]) * scale
    return rotated(rectangle(x, y, right, bottom), degrees, x, y)
