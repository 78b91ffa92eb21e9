"""LabelMe's files; their layout is that of its own sources."""

import base64
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from relmask.errors import DataError, ImageError
from relmask.formats import labelme, read
from tests.formats.exports import CORNERS, INSIDE, as_json, assert_inside, left_out, only
from tests.formats.masks import CLASSES, RING, picture


def shape(**more: object) -> dict[str, object]:
    usual: dict[str, object] = {
        "label": "pit",
        "group_id": None,
        "description": "",
        "flags": {},
        "mask": None,
    }
    return {**usual, "points": CORNERS, "shape_type": "polygon", **more}


def document(*shapes: object, **more: object) -> dict[str, object]:
    return {
        "version": "5.5.0",
        "flags": {},
        "shapes": list(shapes),
        "imagePath": "..\\pictures\\b.png",
        "imageData": None,
        "imageHeight": 6,
        "imageWidth": 8,
        **more,
    }


def png_of(inside: NDArray[np.bool_]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(inside.astype(np.uint8) * 255).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.mark.parametrize(
    "drawn",
    [
        shape(),
        shape(shape_type=None),  # as old versions have it
        shape(points=[[7, 4], [2, 1]], shape_type="rectangle"),
        shape(shape_type="rectangle"),  # as X-AnyLabeling has it
        shape(shape_type="oriented_rectangle"),
        shape(shape_type="rotation", direction=0),
        shape(points=[[2.0, 1.0], [6.0, 3.0]], shape_type="mask", mask=png_of(INSIDE[1:4, 2:7])),
    ],
)
def test_shapes_with_an_area(tmp_path: Path, drawn: object) -> None:
    found = only(as_json(tmp_path / "b.json", document(drawn)), "labelme")
    assert found.image == "../pictures/b.png"
    assert_inside(found)


def test_circles_are_round(tmp_path: Path) -> None:
    circle = shape(points=[[4, 3], [4, 1]], shape_type="circle")
    found = only(as_json(tmp_path / "b.json", document(circle)), "labelme")
    assert found.draw(("pit",)).sum() == 12


@pytest.mark.parametrize(
    ("drawn", "counted"),
    [
        (shape(label="note", points=[[4, 3]], shape_type="point"), "points (1)"),
        (shape(label="note", points=[[4, 3]], shape_type="points"), "points (1)"),
        (shape(label="note", points=[[4, 3], [1, 1]], shape_type="line"), "lines (1)"),
        (shape(label="note", points=[[4, 3], [1, 1]], shape_type="linestrip"), "lines (1)"),
        (shape(label="note", points=[[4, 3], [1, 1]]), "polygons without area (1)"),
        (shape(label="note", points=[]), "polygons without area (1)"),
        (shape(label="note", points=[[4, 3], [4, 3]], shape_type="rectangle"), "polygons without area (1)"),
        (shape(label="note", points=[[4, 3], [4, 3]], shape_type="circle"), "polygons without area (1)"),
        (shape(label="note", shape_type="cuboid"), "shapes of the unknown type cuboid (1)"),
    ],
)
def test_what_has_no_area_is_no_class_left_out_and_counted(
    tmp_path: Path, drawn: object, counted: str
) -> None:
    found = left_out(as_json(tmp_path / "b.json", document(shape(), drawn)), counted)
    assert found.classes == ("pit",)
    assert_inside(found.pictures[0])


@pytest.mark.parametrize("label", ["__ignore__", "_background_"])
def test_labels_that_are_no_classes_are_background(tmp_path: Path, label: str) -> None:
    whole = shape(points=[[0, 0], [8, 6]], shape_type="rectangle")
    hole = shape(points=[[0, 0], [8, 1]], shape_type="rectangle", label=label)
    found = read(as_json(tmp_path / "b.json", document(whole, hole)))
    assert found.classes == ("pit",)
    assert found.pictures[0].draw(("pit",)).sum(1).tolist() == [0, 8, 8, 8, 8, 8]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (document(shape(points=[[4, 3]], shape_type="circle")), "shape 1: a circle lacks points"),
        (document(shape(points=[[4, 3]], shape_type="rectangle")), "shape 1: a rectangle lacks points"),
        (document(shape(points=[], shape_type="mask")), "shape 1: a mask lacks points"),
        (document(shape(shape_type="mask")), "shape 1: a mask should be a PNG file in base64"),
        (document(shape(shape_type="mask", mask="R0lGODlh")), "PNG file in base64"),
        (document(shape(points=None)), "pairs of numbers"),
        (document(shape(), shape(points=[[1, 2, 3]])), "shape 2: corners should be pairs of numbers"),
        (document(shape(label=None)), "`label` is missing"),
        (document(shape(label=["pit"])), "`label` should be a text"),
        (document(7), "`shapes` should be a list of objects"),
    ],
)
def test_a_damaged_file_fails_its_picture_alone(tmp_path: Path, content: object, reason: str) -> None:
    as_json(tmp_path / "b.json", content)
    as_json(tmp_path / "c.json", document(shape(), imagePath="c.png"))
    broken, whole = read(tmp_path).pictures
    with pytest.raises(ImageError, match=reason):
        broken.draw(("pit",))
    assert_inside(whole)


def test_a_file_that_breaks_off_fails_its_picture_alone(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b.json").write_text(json.dumps(document(shape()))[:40])
    as_json(tmp_path / "c.json", document(shape(), imagePath="c.png"))
    broken, whole = read(tmp_path).pictures
    assert broken.image == "a/b"
    with pytest.raises(ImageError, match=r"b\.json is no JSON file that can be read: it breaks in line 1"):
        broken.draw(("pit",))
    assert_inside(whole)
    with pytest.raises(DataError, match="it breaks in line 1"):
        read(tmp_path / "a/b.json")


@pytest.mark.parametrize(
    ("said", "image"),
    [
        ("1.png", "a/1.png"),  # beside its file
        ("x\\1.png", "a/x/1.png"),
        ("../pictures/1.png", "../pictures/1.png"),
        ("C:\\parts\\1.png", "C:/parts/1.png"),
        ("/srv/1.png", "/srv/1.png"),
        (None, "a/b"),
    ],
)
def test_the_picture_is_named_from_where_reading_began(tmp_path: Path, said: str | None, image: str) -> None:
    as_json(tmp_path / "a/b.json", document(shape(), imagePath=said))
    assert only(tmp_path, "labelme").image == image


def test_the_picture_is_found_from_its_file(tmp_path: Path) -> None:
    image = tmp_path / "pictures" / "b.png"
    image.parent.mkdir()
    Image.fromarray(RING).save(image)
    with labelme.writing(tmp_path / "out/labelme", CLASSES, "") as write:
        write(replace(picture(RING, "x/b.png"), file=image))
    content = json.loads((tmp_path / "out/labelme/x/b.json").read_text())
    assert content["imagePath"] == "../../../pictures/b.png"
    assert [shape["group_id"] for shape in content["shapes"]].count(1) > 1  # the ring, cut into pieces
    found = only(tmp_path / "out/labelme", "labelme")
    assert found.file == tmp_path / "out/labelme/x/../../../pictures/b.png"
    np.testing.assert_array_equal(found.draw(CLASSES), RING)


def test_the_size_is_that_of_the_picture(tmp_path: Path) -> None:
    Image.new("L", (8, 6)).save(tmp_path / "b.png")
    as_json(tmp_path / "b.json", document(shape(), imagePath="b.png", imageHeight=None, imageWidth=None))
    assert_inside(only(tmp_path / "b.json", "labelme"))
    Image.new("L", (6, 8)).save(tmp_path / "b.png")
    as_json(tmp_path / "b.json", document(shape(), imagePath="b.png"))
    with pytest.raises(ImageError, match="annotated at 8x6 pixels, but has 6x8"):
        only(tmp_path / "b.json", "labelme").draw(("pit",))
