"""Files of CVAT for images 1.1; their layout is that of its own documentation."""

from pathlib import Path

import numpy as np
import pytest

from relmask.errors import DataError, ImageError
from relmask.formats import read
from tests.formats.exports import assert_inside, left_out, only

CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><job><id>4</id><labels><label><name>pit</name><color>#e69f00</color><type>any</type>
    <attributes><attribute><name>score</name></attribute></attributes></label></labels></job></meta>
  <image id="0" name="a/b.png" width="8" height="6">
    {shapes}
  </image>
</annotations>
"""
MASK = '<mask label="pit" rle="0, 15" left="2" top="1" width="5" height="3"/>'


def cvat(path: Path, shapes: str, image: str = "a/b.png") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(CVAT.format(shapes=shapes).replace("a/b.png", image))
    return path


@pytest.mark.parametrize(
    "shapes",
    [
        '<mask label="pit" source="manual" occluded="0" rle="0, 15" left="2" top="1" width="5" height="3" '
        'z_order="0"></mask>',
        '<mask label="pit" rle="0, 15, 5" left="2" top="1" width="5" height="4"/>',
        '<polygon label="pit" source="manual" points="2.00,1.00;7.00,1.00;7.00,4.00;2.00,4.00" z_order="0"/>',
        '<box label="pit" occluded="0" xtl="2.00" ytl="1.00" xbr="7.00" ybr="4.00" z_order="0"/>',
        '<box label="pit" occluded="0" xtl="3.00" ytl="0.00" xbr="6.00" ybr="5.00" rotation="90.00"/>',
        MASK + '<mask label="pit" rle="4" left="0" top="0" width="2" height="2"/>',  # erased again
    ],
)
def test_shapes_with_an_area(tmp_path: Path, shapes: str) -> None:
    path = cvat(tmp_path / "annotations.xml", shapes)
    assert read(tmp_path).classes == ("pit",)
    assert_inside(only(tmp_path, "cvat"))
    assert_inside(only(path, "cvat"))


@pytest.mark.parametrize(
    ("shape", "counted"),
    [
        ('<points label="note" points="0,0"/>', "points (1)"),
        ('<polyline label="note" points="0,0;5,5"/>', "lines (1)"),
        ('<tag label="note"/>', "tags (1)"),
        ('<cuboid label="note" xtl1="0" ytl1="0" xbl1="0" ybl1="4"/>', "cuboids (1)"),
        ('<skeleton label="note"><points label="1" points="0,0"/></skeleton>', "skeletons (1)"),
        ('<polygon label="note" points="0,0;5,5"/>', "polygons without area (1)"),
        ('<polygon label="note" points=""/>', "polygons without area (1)"),
        ('<box label="note" xtl="2" ytl="1" xbr="2" ybr="4"/>', "polygons without area (1)"),
        ('<sphere label="note"/>', "shapes of the unknown type sphere (1)"),
    ],
)
def test_what_has_no_area_is_left_out_and_counted(tmp_path: Path, shape: str, counted: str) -> None:
    found = left_out(cvat(tmp_path / "a.xml", MASK + shape), counted)
    assert found.classes == ("pit",)
    assert_inside(found.pictures[0])


def test_labels_that_can_have_no_area_are_no_classes(tmp_path: Path) -> None:
    path = cvat(tmp_path / "a.xml", MASK)
    label = "<label><name>{}</name><type>{}</type></label>"
    kinds = ("points", "polyline", "skeleton", "tag", "cuboid", "polygon", "mask", "rectangle")
    more = "".join(label.format(kind.upper(), kind) for kind in kinds)
    path.write_text(path.read_text().replace("</labels>", more + "</labels>"))
    assert read(path).classes == ("pit", "POLYGON", "MASK", "RECTANGLE")


def test_shapes_are_painted_by_z_order(tmp_path: Path) -> None:
    box = '<box label="{}" xtl="0" ytl="0" xbr="8" ybr="6" z_order="{}"/>'
    cvat(tmp_path / "a.xml", box.format("pit", 2) + box.format("dent", 1))
    assert read(tmp_path).classes == ("pit", "dent")
    assert (only(tmp_path, "cvat").draw(("pit", "dent")) == 1).all()


def test_ellipses_are_round(tmp_path: Path) -> None:
    cvat(tmp_path / "a.xml", '<ellipse label="pit" cx="4" cy="3" rx="3" ry="2"/>')
    mask = only(tmp_path, "cvat").draw(("pit",))
    assert mask.sum() == 20
    np.testing.assert_array_equal(mask, mask[::-1, ::-1])


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ('<mask label="pit" rle="0, 14" left="2" top="1" width="5" height="3"/>', "add up"),
        ('<mask label="pit" rle="" left="2" top="1" width="5" height="3"/>', "`rle` is missing"),
        ('<mask label="pit" rle="0, x" left="2" top="1" width="5" height="3"/>', "`rle` should be whole"),
        ('<mask label="pit" rle="0, 15" left="2" width="5" height="3"/>', "`top` is missing"),
        ('<polygon label="pit" points="1,2;3"/>', "pairs of numbers"),
        ('<box label="pit" xtl="2" ytl="one" xbr="7" ybr="4"/>', "`ytl` should be a number"),
        ('<polygon points="1,2;3,4;1,4"/>', "`label` is missing"),
        ('<polygon label="pit" points="90,90;95,90;95,95"/>', "not on a single pixel of 8x6"),
    ],
)
def test_a_damaged_shape_fails_its_picture_alone(tmp_path: Path, shape: str, reason: str) -> None:
    cvat(tmp_path / "a.xml", shape)
    cvat(tmp_path / "b.xml", MASK, "c.png")
    broken, whole = read(tmp_path).pictures
    with pytest.raises(ImageError, match=rf"^a/b\.png: .*{reason}"):
        broken.draw(("pit",))
    assert_inside(whole)


def test_jobs_that_are_exported_into_folders_are_read_together(tmp_path: Path) -> None:
    for job in ("job_1", "job_2"):
        cvat(tmp_path / job / "annotations.xml", MASK, f"{job}.png")
    (tmp_path / "job_1/a.xml").write_text("<annotation><object/></annotation>")  # of another program
    first, second = read(tmp_path).pictures
    assert (first.image, second.image) == ("job_1.png", "job_2.png")
    assert_inside(first)
    assert_inside(second)


def test_a_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text('<annotations><track id="0" label="pit"/></annotations>')
    with pytest.raises(DataError, match="of a video"):
        read(tmp_path)


def test_an_encoding_that_nobody_knows_is_no_cvat_file(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(CVAT.format(shapes="").replace("utf-8", "u0tf-8"))
    with pytest.raises(DataError, match="no masks in a known format"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("</image>\n</annotations>", "", "it breaks in line 9"),
        ('name="a/b.png"', "", "image 1: `name` is missing"),
    ],
)
def test_a_file_that_is_incomplete_is_refused(tmp_path: Path, old: str, new: str, reason: str) -> None:
    (tmp_path / "a.xml").write_text(CVAT.format(shapes="").replace(old, new))
    with pytest.raises(DataError, match=rf"no complete file of CVAT for images 1\.1: {reason}"):
        read(tmp_path)


def test_a_size_that_is_missing_comes_from_the_picture(tmp_path: Path) -> None:
    path = cvat(tmp_path / "a.xml", MASK)
    path.write_text(path.read_text().replace(' width="8" height="6"', ""))
    assert_inside(only(path, "cvat"), size=(6, 8))
