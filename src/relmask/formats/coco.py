"""COCO's instances: one JSON file, a run-length code a connected part.

The codes are exact, holes and parts of one pixel too. `score` beside an annotation is what COCO's results
have; `score` of an image is the probability of any defect. Polygons and plain run lengths are read as well.

Source: cocodataset.org/#format-data; the text of the codes is that of the COCO API (see `runs`).
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from relmask.errors import DataError
from relmask.files import printable, whole
from relmask.formats.annotation import (
    Annotation,
    Annotations,
    Inside,
    Picture,
    Region,
    Size,
    parts,
    score_of,
    scores_from,
)
from relmask.formats.documents import appending, documents, first_is, load
from relmask.formats.polygons import fill
from relmask.formats.runs import counts, drawn_band, from_text, to_text

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


def recognises(path: Path) -> bool:
    """Whether it is such a file, or a folder whose first JSON file is one."""
    return first_is(path, _is_coco)


def _is_coco(content: object) -> bool:
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()


def read(path: Path) -> Annotations:
    """Annotations of a file, or of all such files below a folder.

    Raises:
        DataError: the file is damaged.
    """
    names: list[str] = []
    found: list[Annotation] = []
    for file in documents(path):
        content = load(file)
        if not _is_coco(content):
            continue
        try:
            categories = {category["id"]: str(category["name"]) for category in content["categories"]}
            by_image: dict[object, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
            for annotation in content["annotations"]:
                label = categories[annotation["category_id"]]
                by_image[annotation["image_id"]].append((label, annotation))
            found += [_annotation(image, by_image.get(image["id"], [])) for image in content["images"]]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{file} is no complete COCO file ({error!r}). Export it again.") from error
        names += categories.values()
    return Annotations.of(names, found)


def _annotation(image: dict[str, Any], annotations: list[tuple[str, dict[str, Any]]]) -> Annotation:
    size = int(image["height"]), int(image["width"])
    score = image.get("score")
    return Annotation(
        image=str(image["file_name"]),
        regions=partial(_regions, [(label, a.get("segmentation")) for label, a in annotations]),
        size=lambda: size,
        labels=frozenset(label for label, _ in annotations),
        score=float(score) if isinstance(score, int | float) else None,
        scores=scores_from((label, a.get("score")) for label, a in annotations),
    )


def _regions(segmentations: Sequence[tuple[str, Any]], size: Size) -> Iterator[Region]:
    for label, segmentation in segmentations:
        if isinstance(segmentation, dict):
            columns, left = _decoded(segmentation, size)
            yield Region(label, columns.T, left=left)
        elif segmentation:
            for polygon in segmentation:
                yield Region(label, *fill([list(zip(polygon[::2], polygon[1::2], strict=True))], size))
        else:
            raise ValueError(f"{label} has a box only, and no mask")


def _decoded(segmentation: dict[str, Any], size: Size) -> tuple[Inside, int]:
    if list(segmentation["size"]) != list(size):
        raise ValueError(f"a mask is of {segmentation['size']} pixels, and the image of {list(size)}")
    lengths = segmentation["counts"]
    return drawn_band(from_text(lengths) if isinstance(lengths, str) else lengths, size[::-1])
