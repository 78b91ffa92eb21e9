"""CVAT for images 1.1: one XML file; masks as run lengths along the rows of their box, outside first.

    annotations.xml    what "Upload annotations" takes
    labels.json        the labels, to paste into the task's raw label editor before it is made

A mask has the attribute `score`, the probability of its class in percent (CVAT's numbers are whole), by which
objects can be filtered and sorted. Polygons, boxes and ellipses that a person draws are read too; points,
lines, cuboids, skeletons and tags are left out, since they have no area.

Source: docs.cvat.ai, "XML annotation format".
"""

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from relmask.arrays import DoubleArray, Mask
from relmask.errors import DataError
from relmask.files import printable, whole, write_json
from relmask.formats.annotation import Annotation, Annotations, Picture, Size, parts
from relmask.formats.documents import documents, opened
from relmask.formats.fields import (
    Damaged,
    as_number,
    as_size,
    corners,
    damage_at,
    damage_in,
    number,
    picture_path,
    text,
    whole_number,
)
from relmask.formats.polygons import ellipse, rectangle, rotated
from relmask.formats.runs import counts, drawn
from relmask.formats.shapes import NoArea, Shape, annotation, gather, polygon, unless_empty
from relmask.masks.colours import class_colours

_FILE = "annotations.xml"
SCORE = "score"
_NO_AREA = {
    "points": "points",
    "polyline": "lines",
    "tag": "tags",
    "cuboid": "cuboids",
    "skeleton": "skeletons",
}


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
    return any(map(_is_cvat, documents(path, ".xml")))


def _is_cvat(file: Path) -> bool:
    try:
        with opened(file) as stream:
            return next(str(element.tag) for _, element in ET.iterparse(stream, ["start"])) == "annotations"
    except (ET.ParseError, StopIteration, LookupError, ValueError):  # LookupError: the encoding
        return False


def read(path: Path) -> Annotations:
    """Annotations of a file, or of all such files below a folder, as jobs are exported.

    Raises:
        DataError: a file is damaged, or of a video.
    """
    names: list[str] = []
    found: list[Annotation] = []
    left_out: Counter[str] = Counter()
    for file in filter(_is_cvat, documents(path, ".xml")):
        with damage_in(file, "file of CVAT for images 1.1"):
            images = 0
            for element in _elements(file):
                if element.tag == "label" and element.findtext("type", "any") not in _NO_AREA:
                    names += filter(None, [element.findtext("name")])
                elif element.tag == "image":
                    images += 1
                    with damage_at(f"image {images}"):
                        found.append(_annotation(element, left_out))
                    element.clear()
                elif element.tag == "track":
                    raise DataError(f"{file} is of a video. Export it as CVAT for images 1.1.")
    return Annotations.of(names, found, left_out)


def _elements(file: Path) -> Iterator[ET.Element]:
    try:
        with opened(file) as stream:
            yield from (element for _, element in ET.iterparse(stream))
    except ET.ParseError as error:
        raise Damaged("it breaks in line {}, column {}".format(*error.position)) from error
    except (LookupError, ValueError) as error:
        raise Damaged("its text cannot be decoded") from error


def _annotation(image: ET.Element, left_out: Counter[str]) -> Annotation:
    shapes = [(f"shape {number}", shape) for number, shape in enumerate(image, start=1)]
    shapes.sort(key=lambda shape: as_number(shape[1].get("z_order")) or 0)
    return annotation(
        picture_path(image.attrib, "name"),
        gather(shapes, _shape, left_out),
        size=partial(as_size, image.get("height"), image.get("width")),
    )


def _shape(element: ET.Element) -> Shape:
    if element.tag in _NO_AREA:
        raise NoArea(_NO_AREA[element.tag])
    if element.tag not in ("mask", "polygon", "box", "ellipse"):
        raise NoArea(f"shapes of the unknown type {element.tag}")
    told = dict(element.attrib)  # of its own: the element is cleared
    label = text(told, "label")
    percent = next((a.text for a in element if a.tag == "attribute" and a.get("name") == SCORE), None)
    score = None if (value := as_number(percent)) is None else value / 100
    if element.tag == "mask":
        return Shape(label, partial(_mask, told), score)
    return polygon(label, _corners(element.tag, told), score)


def _mask(told: dict[str, str], size: Size) -> tuple[Mask, int, int] | None:
    box = whole_number(told, "height"), whole_number(told, "width")
    lengths = [as_number(length) for length in text(told, "rle").split(",")]
    if None in lengths or min(box) < 0:
        raise Damaged("`rle` should be whole numbers")
    runs = [int(length) for length in lengths if length is not None]
    return unless_empty(drawn(runs, box), whole_number(told, "top"), whole_number(told, "left"))


def _corners(kind: str, told: dict[str, str]) -> DoubleArray:
    if kind == "polygon":
        return corners([point.split(",") for point in told.get("points", "").split(";") if point.strip()])
    degrees = number(told, "rotation", 0)
    if kind == "box":
        left, top, right, bottom = (number(told, name) for name in ("xtl", "ytl", "xbr", "ybr"))
        return rotated(rectangle(left, top, right, bottom), degrees, (left + right) / 2, (top + bottom) / 2)
    x, y, radius_x, radius_y = (number(told, name) for name in ("cx", "cy", "rx", "ry"))
    return rotated(ellipse(x, y, radius_x, radius_y), degrees, x, y)
