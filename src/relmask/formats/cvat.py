"""CVAT for images 1.1: one XML file; masks as run lengths along the rows of their box, outside first.

    annotations.xml    what "Upload annotations" takes
    labels.json        the labels, to paste into the task's raw label editor before it is made

A mask has the attribute `score`, the probability of its class in percent (CVAT's numbers are whole), by which
objects can be filtered and sorted. Polygons, boxes and ellipses that a person draws are read too; points,
lines and tags are left out, since they have no area.

Source: docs.cvat.ai, "XML annotation format".
"""

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from relmask.errors import DataError
from relmask.files import printable, whole, write_json
from relmask.formats.annotation import Annotation, Annotations, Picture, Region, Size, parts, scores_from
from relmask.formats.polygons import ellipse, fill, rectangle, rotated
from relmask.formats.runs import counts, drawn
from relmask.masks.colours import class_colours

_FILE = "annotations.xml"
SCORE = "score"
_AREAS = ("mask", "polygon", "box", "ellipse")


def labels(classes: Sequence[str]) -> list[dict[str, Any]]:
    """What CVAT's raw label editor takes: the classes with their colours and the attribute `score`."""
    attribute = {
        "name": SCORE,
        "input_type": "number",
        "mutable": False,
        "values": ["0", "100", "1"],
        "default_value": "0",
    }
    colours = class_colours(len(classes))[1:].tolist()
    return [
        {"name": name, "color": f"#{red:02x}{green:02x}{blue:02x}", "type": "any", "attributes": [attribute]}
        for name, (red, green, blue) in zip(classes, colours, strict=True)
    ]


@contextmanager
def writing(folder: Path, classes: Sequence[str], image_root: str) -> Iterator[Callable[[Picture], None]]:
    """Give what appends one picture; `image_root` has no place in this format."""
    write_json(folder / "labels.json", labels(classes))
    with whole(folder / _FILE) as part, part.open("w", encoding="utf-8", newline="\n") as file:
        file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n')
        file.write(_meta(classes))
        number = 0

        def add(picture: Picture) -> None:
            nonlocal number
            file.writelines(_image(number, picture, classes))
            number += 1

        yield add
        file.write("</annotations>\n")


def _meta(classes: Sequence[str]) -> str:
    described = "".join(
        f"<label><name>{escape(_legal(label['name']))}</name><color>{label['color']}</color><type>any</type>"
        f"<attributes><attribute><name>{SCORE}</name><mutable>False</mutable><input_type>number</input_type>"
        "<default_value>0</default_value><values>0\n100\n1</values></attribute></attributes></label>\n"
        for label in labels(classes)
    )
    task = f"<name>relmask</name><mode>annotation</mode><labels>\n{described}</labels>"
    return f"  <meta><task>{task}</task></meta>\n"


def _image(number: int, picture: Picture, classes: Sequence[str]) -> Iterator[str]:
    height, width = picture.mask.shape
    yield f"  <image{_attributes(id=number, name=picture.image, width=width, height=height)}>\n"
    for region in parts(picture.mask, classes):
        box = region.inside.shape
        runs = ", ".join(map(str, counts(region.inside, box).tolist()))
        place = {"rle": runs, "left": region.left, "top": region.top, "width": box[1], "height": box[0]}
        yield f"    <mask{_attributes(label=region.label, source='auto', occluded=0, **place, z_order=0)}>"
        if region.label in picture.scores:
            yield f'<attribute name="{SCORE}">{percent(picture.scores[region.label])}</attribute>'
        yield "</mask>\n"
    yield "  </image>\n"


def percent(score: float) -> int:
    """A probability as CVAT's whole number."""
    return round(100 * score)


def _attributes(**values: object) -> str:
    return "".join(f" {name}={quoteattr(_legal(str(value)))}" for name, value in values.items())


def _legal(text: str) -> str:
    """The text without what XML 1.0 cannot hold."""
    return "".join(c if c >= " " or c in "\t\n\r" else "\N{REPLACEMENT CHARACTER}" for c in printable(text))


def recognises(path: Path) -> bool:
    """Whether it is such a file, or a folder with one."""
    return any(_root_tag(file) == "annotations" for file in _files(path))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(path.glob("*.xml"))
    return [path] if path.suffix.lower() == ".xml" else []


def _root_tag(file: Path) -> str:
    try:
        return next(str(element.tag) for _, element in ET.iterparse(file, ["start"]))
    except (OSError, ET.ParseError, StopIteration, LookupError, ValueError):  # LookupError: the encoding
        return ""


def read(path: Path) -> Annotations:
    """Annotations of a file, or of all such files in a folder.

    Raises:
        DataError: a file is damaged, or of a video.
    """
    names: list[str] = []
    found: list[Annotation] = []
    for file in _files(path):
        try:
            for _, element in ET.iterparse(file):
                if element.tag == "label" and element.find("name") is not None:
                    names.append(element.findtext("name", ""))
                elif element.tag == "image":
                    found.append(_annotation(element))
                    element.clear()
                elif element.tag == "track":
                    raise DataError(f"{file} is of a video. Export it as CVAT for images 1.1.")
        except (OSError, ET.ParseError, LookupError, ValueError) as error:
            raise DataError(f"{file} is no complete file of CVAT for images 1.1 ({error!r}).") from error
    return Annotations.of(names, found)


def _annotation(image: ET.Element) -> Annotation:
    size = int(image.attrib["height"]), int(image.attrib["width"])
    shapes = [(shape.tag, dict(shape.attrib)) for shape in image if shape.tag in _AREAS]
    shapes.sort(key=lambda shape: int(shape[1].get("z_order", 0)))
    scored = [
        (shape.attrib["label"], float(attribute.text or 0) / 100)
        for shape in image
        for attribute in shape
        if attribute.get("name") == SCORE and (attribute.text or "").strip().isdecimal()
    ]
    return Annotation(
        image=image.attrib["name"],
        regions=partial(_regions, shapes),
        size=lambda: size,
        labels=frozenset(shape["label"] for _, shape in shapes),
        scores=scores_from(scored),
    )


def _regions(shapes: Sequence[tuple[str, dict[str, str]]], size: Size) -> Iterator[Region]:
    for kind, shape in shapes:
        if kind == "mask":
            box = int(shape["height"]), int(shape["width"])
            runs = np.array(shape["rle"].split(","), np.int64)
            yield Region(shape["label"], drawn(runs, box), int(shape["top"]), int(shape["left"]))
        else:
            yield Region(shape["label"], *fill([_corners(kind, shape)], size))


def _corners(kind: str, shape: dict[str, str]) -> Any:  # noqa: ANN401 - an array, or lists
    if kind == "polygon":
        return [[float(value) for value in point.split(",")] for point in shape["points"].split(";")]
    degrees = float(shape.get("rotation", 0))
    if kind == "box":
        left, top, right, bottom = (float(shape[name]) for name in ("xtl", "ytl", "xbr", "ybr"))
        return rotated(rectangle(left, top, right, bottom), degrees, (left + right) / 2, (top + bottom) / 2)
    x, y, radius_x, radius_y = (float(shape[name]) for name in ("cx", "cy", "rx", "ry"))
    return rotated(ellipse(x, y, radius_x, radius_y), degrees, x, y)
