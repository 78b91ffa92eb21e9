"""COCO's instances: one JSON file, a run-length code a connected part.

The codes are exact, holes and parts of one pixel too. `score` beside an annotation is what COCO's results
have; `score` of an image is the probability of any defect. Polygons and plain run lengths are read as well.

Source: cocodataset.org/#format-data; the text of the codes is that of the COCO API (see `runs`).
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from relmask.arrays import Mask
from relmask.files import printable, whole
from relmask.formats.annotation import Annotation, Annotations, Picture, Region, Size, parts, score_of
from relmask.formats.documents import appending, documents, load
from relmask.formats.fields import (
    Damaged,
    as_score,
    as_size,
    corners,
    damage_at,
    damage_in,
    objects,
    picture_path,
    text,
)
from relmask.formats.runs import counts, drawn_band, from_text, to_text
from relmask.formats.shapes import BoxOnly, NoArea, Shape, annotation, gather, polygon, unless_empty

_FILE = "instances.json"


@contextmanager
def writing(folder: Path, classes: Sequence[str], image_root: str) -> Iterator[Callable[[Picture], None]]:
    """Give what appends one picture; `image_root` has no place in this format."""
    categories = [{"id": k, "name": name, "supercategory": ""} for k, name in enumerate(classes, start=1)]
    ids = {name: k for k, name in enumerate(classes, start=1)}
    images: list[dict[str, Any]] = []
    number = 0
    with whole(folder / _FILE) as part, part.open("w", encoding="utf-8", newline="\n") as file:
        file.write(
            f'{{"info": {{"description": "relmask"}}, "licenses": [], "categories": {_json(categories)},\n'
        )
        file.write('"annotations": ')
        with appending(file) as append:

            def add(picture: Picture) -> None:
                nonlocal number
                height, width = picture.mask.shape
                images.append(_image(len(images) + 1, picture))
                for region in parts(picture.mask, classes):
                    number += 1
                    kind = {"id": number, "image_id": len(images), "category_id": ids[region.label]}
                    score = score_of(picture, region.label)
                    said = {} if score is None else {"score": score}
                    append({**kind, **_segmentation(region, (height, width)), "iscrowd": 0, **said})

            yield add
        file.write(f',\n"images": {_json(images)}}}\n')


def _image(number: int, picture: Picture) -> dict[str, Any]:
    height, width = picture.mask.shape
    image = {"id": number, "file_name": printable(picture.image), "width": width, "height": height}
    return image if picture.score is None else {**image, "score": float(f"{picture.score:.6g}")}


def _segmentation(region: Region, size: Size) -> dict[str, Any]:
    height, width = region.inside.shape
    code = to_text(counts(region.inside.T, size[::-1], region.left, region.top))
    return {
        "segmentation": {"size": list(size), "counts": code},
        "area": int(region.inside.sum()),
        "bbox": [region.left, region.top, width, height],
    }


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def describes(content: object) -> bool:
    """Whether it is what a JSON file in this format holds: COCO's three lists."""
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()


def read(path: Path) -> Annotations:
    """Masks of a file, or of all such files below a folder.

    Raises:
        DataError: a file is damaged.
    """
    names: list[str] = []
    found: list[Annotation] = []
    left_out: Counter[str] = Counter()
    for file in documents(path):
        content = load(file)
        if describes(content):
            with damage_in(file, "COCO file"):
                categories = _by_id(content, "categories", "name")
                found += _pictures(content, categories, left_out)
                names += categories.values()
    return Annotations.of(names, found, left_out)


def _by_id(content: dict[str, Any], key: str, name: str) -> dict[str, str]:
    """What each of the images or categories is called, by its id as text: some tools write texts."""
    found: dict[str, str] = {}
    for place, item in enumerate(objects(content, key), start=1):
        with damage_at(f"number {place} of its {key}"):
            number, called = text(item, "id"), text(item, name)
            if found.setdefault(number, called) != called:
                raise Damaged(f"the id {number} is taken by {found[number]}")
    return found


def _pictures(
    content: dict[str, Any], categories: dict[str, str], left_out: Counter[str]
) -> Iterator[Annotation]:
    names = _by_id(content, "images", "file_name")
    items: dict[str, list[tuple[str, tuple[dict[str, Any], Any]]]] = {number: [] for number in names}
    for place, one in enumerate(objects(content, "annotations"), start=1):
        with damage_at(f"annotation {place}"):
            number = text(one, "image_id")
        if number in items:
            items[number] += [(f"annotation {place}", (one, part)) for part in _parts(one)]
        else:
            left_out["annotations of images that are not listed"] += 1
    images = {text(image, "id"): image for image in objects(content, "images")}
    for number, image in images.items():
        yield annotation(
            picture_path(image, "file_name"),
            gather(items[number], partial(_shape, categories), left_out),
            size=partial(as_size, image.get("height"), image.get("width")),
            score=as_score(image.get("score")),
        )


def _parts(told: dict[str, Any]) -> list[Any]:
    """The polygons of an annotation, or whatever else it has."""
    segmentation = told.get("segmentation")
    if isinstance(segmentation, list) and segmentation and isinstance(segmentation[0], list):
        return segmentation
    return [segmentation]  # a flat list is one polygon


def _shape(categories: dict[str, str], item: tuple[dict[str, Any], Any]) -> Shape:
    told, part = item
    number = text(told, "category_id")
    if number not in categories:
        raise Damaged(f"its category {number} is none of the file's")
    label = categories[number]
    if isinstance(part, dict):
        return Shape(label, partial(_decoded, part), told.get("score"))
    if part:
        return polygon(label, corners(part), told.get("score"))
    if told.get("keypoints"):
        raise NoArea("key points")
    if told.get("bbox"):
        raise BoxOnly
    raise NoArea("annotations without a shape")


def _decoded(segmentation: dict[str, Any], size: Size) -> tuple[Mask, int, int] | None:
    told, lengths = segmentation.get("size"), segmentation.get("counts")
    own = as_size(*told) if isinstance(told, list) and len(told) == 2 else None
    if own is None:
        raise Damaged("`size` should be the height and the width of the image")
    if own != size:
        raise Damaged(f"a mask has {own[1]}x{own[0]} pixels, but the image has {size[1]}x{size[0]}")
    if not isinstance(lengths, str | list):
        raise Damaged("`counts` should be run lengths")
    columns, left = drawn_band(from_text(lengths) if isinstance(lengths, str) else lengths, size[::-1])
    return unless_empty(columns.T, 0, left)
