"""Files as annotation tools export them; their layouts are those of the tools' own documentation."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from relmask.errors import DataError, ImageError, OutError
from relmask.formats import read, voc
from tests.formats.exports import CORNERS, INSIDE, as_json, assert_inside, only
from tests.formats.masks import CLASSES, RING, picture

# COCO


def coco(segmentation: object) -> dict[str, object]:
    return {
        "info": {"contributor": "", "year": ""},
        "licenses": [{"name": "", "id": 0, "url": ""}],
        "categories": [{"id": 7, "name": "pit", "supercategory": ""}],
        "images": [{"id": 3, "width": 8, "height": 6, "file_name": "a/b.png", "license": 0}],
        "annotations": [
            {
                "id": 1,
                "image_id": 3,
                "category_id": 7,
                "segmentation": segmentation,
                "area": 15.0,
                "bbox": [2.0, 1.0, 5.0, 3.0],
                "iscrowd": 0,
                "attributes": {"occluded": False},
            }
        ],
    }


@pytest.mark.parametrize(
    "segmentation",
    [
        [np.ravel(CORNERS).tolist()],
        [[2.0, 1.0, 4.0, 1.0, 4.0, 4.0, 2.0, 4.0], [4.0, 1.0, 7.0, 1.0, 7.0, 4.0, 4.0, 4.0]],
        {"size": [6, 8], "counts": [13, 3, 3, 3, 3, 3, 3, 3, 3, 3, 8]},
    ],
)
def test_coco_polygons_and_plain_run_lengths(tmp_path: Path, segmentation: object) -> None:
    as_json(tmp_path / "annotations/instances_default.json", coco(segmentation))
    assert_inside(only(tmp_path, "coco"))


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        ([], "box only"),
        ({"size": [6, 8], "counts": [47]}, "add up"),
        ({"size": [8, 6], "counts": [48]}, "8, 6"),
        ([[1, 2, 3]], "cannot be drawn"),
        ([[0, 0, 1, "x", 1, 1]], "cannot be drawn"),
        (7, "cannot be drawn"),
    ],
)
def test_a_coco_annotation_that_is_no_mask(tmp_path: Path, segmentation: object, reason: str) -> None:
    found = only(as_json(tmp_path / "a.json", coco(segmentation)), "coco")
    with pytest.raises(ImageError, match=reason):
        found.draw(("pit",))


def test_a_coco_file_that_is_incomplete(tmp_path: Path) -> None:
    content = coco([])
    content["categories"] = []
    with pytest.raises(DataError, match="no complete COCO file"):
        read(as_json(tmp_path / "a.json", content))


# CVAT

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


@pytest.mark.parametrize(
    "shapes",
    [
        '<mask label="pit" source="manual" occluded="0" rle="0, 15" left="2" top="1" width="5" height="3" '
        'z_order="0"></mask>',
        '<mask label="pit" rle="0, 15, 5" left="2" top="1" width="5" height="4"/>',
        '<polygon label="pit" source="manual" points="2.00,1.00;7.00,1.00;7.00,4.00;2.00,4.00" z_order="0"/>',
        '<box label="pit" occluded="0" xtl="2.00" ytl="1.00" xbr="7.00" ybr="4.00" z_order="0"/>',
        '<box label="pit" occluded="0" xtl="3.00" ytl="0.00" xbr="6.00" ybr="5.00" rotation="90.00"/>',
        '<box label="pit" xtl="2" ytl="1" xbr="7" ybr="4"/><points label="pit" points="0,0"/>'
        '<tag label="pit"/>',
    ],
)
def test_cvat_shapes(tmp_path: Path, shapes: str) -> None:
    (tmp_path / "annotations.xml").write_text(CVAT.format(shapes=shapes))
    assert read(tmp_path).classes == ("pit",)
    assert_inside(only(tmp_path, "cvat"))
    assert_inside(only(tmp_path / "annotations.xml", "cvat"))


def test_cvat_paints_by_z_order(tmp_path: Path) -> None:
    box = '<box label="{}" xtl="0" ytl="0" xbr="8" ybr="6" z_order="{}"/>'
    (tmp_path / "a.xml").write_text(CVAT.format(shapes=box.format("pit", 2) + box.format("dent", 1)))
    assert read(tmp_path).classes == ("pit", "dent")
    assert (only(tmp_path, "cvat").draw(("pit", "dent")) == 1).all()


def test_cvat_ellipses_are_round(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(CVAT.format(shapes='<ellipse label="pit" cx="4" cy="3" rx="3" ry="2"/>'))
    mask = only(tmp_path, "cvat").draw(("pit",))
    assert mask.sum() == 20
    np.testing.assert_array_equal(mask, mask[::-1, ::-1])


@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        ('<mask label="pit" rle="0, 14" left="2" top="1" width="5" height="3"/>', "add up"),
        ('<mask label="pit" rle="" left="2" top="1" width="5" height="3"/>', "cannot be drawn"),
        ('<polygon label="pit" points="1,2"/>', "three corners"),
    ],
)
def test_a_cvat_shape_that_is_no_mask(tmp_path: Path, shapes: str, reason: str) -> None:
    (tmp_path / "a.xml").write_text(CVAT.format(shapes=shapes))
    with pytest.raises(ImageError, match=reason):
        only(tmp_path, "cvat").draw(("pit",))


def test_a_video_of_cvat_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text('<annotations><track id="0" label="pit"/></annotations>')
    with pytest.raises(DataError, match="of a video"):
        read(tmp_path)


def test_an_encoding_that_nobody_knows_is_no_cvat_file(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(CVAT.format(shapes="").replace("utf-8", "u0tf-8"))
    with pytest.raises(DataError, match="no masks in a known format"):
        read(tmp_path)


def test_a_cvat_file_that_breaks_off(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(CVAT.format(shapes="")[:-20])
    with pytest.raises(DataError, match="no complete file"):
        read(tmp_path)


# LabelMe


def labelme(**shape: object) -> dict[str, object]:
    shape = {"label": "pit", "group_id": None, "description": "", "flags": {}, "mask": None, **shape}
    return {
        "version": "5.5.0",
        "flags": {},
        "shapes": [shape],
        "imagePath": "..\\pictures\\b.png",
        "imageData": None,
        "imageHeight": 6,
        "imageWidth": 8,
    }


def png_of(inside: NDArray[np.bool_]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(inside.astype(np.uint8) * 255).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.mark.parametrize(
    "shape",
    [
        {"points": CORNERS, "shape_type": "polygon"},
        {"points": [[7, 4], [2, 1]], "shape_type": "rectangle"},
        {"points": [[2.0, 1.0], [6.0, 3.0]], "shape_type": "mask", "mask": png_of(INSIDE[1:4, 2:7])},
    ],
)
def test_labelme_shapes(tmp_path: Path, shape: dict[str, object]) -> None:
    found = only(as_json(tmp_path / "b.json", labelme(**shape)), "labelme")
    assert found.image == "../pictures/b.png"
    assert_inside(found)


def test_labelme_circles_and_what_has_no_area(tmp_path: Path) -> None:
    found = only(
        as_json(tmp_path / "b.json", labelme(points=[[4, 3], [4, 1]], shape_type="circle")), "labelme"
    )
    assert found.draw(("pit",)).sum() == 12
    found = only(as_json(tmp_path / "b.json", labelme(points=[[4, 3]], shape_type="point")), "labelme")
    assert not found.draw(("pit",)).any()


def test_labelme_finds_the_picture_from_its_file(tmp_path: Path) -> None:
    from dataclasses import replace

    from relmask.formats import labelme as module

    image = tmp_path / "pictures" / "b.png"
    image.parent.mkdir()
    image.touch()
    with module.writing(tmp_path / "out/labelme", CLASSES, "") as write:
        write(replace(picture(RING, "x/b.png"), file=image))
    content = json.loads((tmp_path / "out/labelme/x/b.json").read_text())
    assert content["imagePath"] == "../../../pictures/b.png"
    assert [shape["group_id"] for shape in content["shapes"]].count(1) > 1  # the ring, cut into pieces
    assert (
        only(tmp_path / "out/labelme", "labelme").file == tmp_path / "out/labelme/x/../../../pictures/b.png"
    )


# YOLO


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("data.yaml", "path: ./\ntrain: train.txt\nnames:\n  0: pit\n  1: 'dent: deep'\n"),
        ("data.yaml", "train: ../train/images\nnc: 2\nnames: ['pit', 'dent: deep']\n"),
        ("classes.txt", "pit\ndent: deep\n"),
    ],
)
def test_yolo_s_ways_to_name_classes(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "train.txt").write_text("images/train/b.png\n")
    (tmp_path / "labels/train").mkdir(parents=True)
    corners = " ".join(f"{x / 8:.6f} {y / 6:.6f}" for x, y in CORNERS)
    (tmp_path / "labels/train/b.txt").write_text(f"0 {corners}\n\n")
    assert read(tmp_path).classes == ("pit", "dent: deep")
    assert_inside(only(tmp_path, "yolo"), size=(6, 8))
    assert only(tmp_path, "yolo").image == "train/b"


@pytest.mark.parametrize("line", ["0 0.5 0.5 0.1 0.1", "7 0 0 0 1 1 1", "0 0 0 0 1 1", "0 a b c d e f"])
def test_a_line_of_yolo_that_is_no_polygon_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "data.yaml").write_text("names: [pit]\n")
    (tmp_path / "b.txt").write_text(f"0 0 0 0 1 1 1\n{line}\n")
    with pytest.raises(DataError, match=r"b\.txt, line 2"):
        read(tmp_path)


def test_yolo_needs_the_size_of_the_picture(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("names: [pit]\n")
    (tmp_path / "b.txt").write_text("0 0 0 0 1 1 1\n")
    with pytest.raises(ImageError, match="--images"):
        only(tmp_path, "yolo").draw(("pit",))


# VOC


def test_voc_colours_are_those_of_the_development_kit() -> None:
    first = [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128], [128, 0, 128], [0, 128, 128]]
    assert voc.colours(256)[:7].tolist() == first
    assert voc.colours(256)[[15, 20, 255]].tolist() == [[192, 128, 128], [0, 64, 128], [224, 224, 192]]


def test_masks_of_cvat_in_rgb(tmp_path: Path) -> None:
    """CVAT chooses its own colours, and may give background another than black."""
    pixels = np.where(INSIDE[..., None], (230, 159, 0), (0, 128, 0)).astype(np.uint8)
    pixels[5, 5] = 224, 224, 192
    (tmp_path / "SegmentationClass/a").mkdir(parents=True)
    Image.fromarray(pixels).save(tmp_path / "SegmentationClass/a/b.png")
    (tmp_path / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,128,0::\npit:230,159,0::\n"
    )
    assert_inside(only(tmp_path, "voc"))
    (tmp_path / "labelmap.txt").write_text("background:0,128,0::\npit:1,2,3::\n")
    with pytest.raises(ImageError, match=r"\(230, 159, 0\) is no class"):
        only(tmp_path, "voc").draw(("pit",))


@pytest.mark.parametrize("text", [None, "pit", "pit:1,2::"])
def test_a_label_map_that_is_missing_or_damaged(tmp_path: Path, text: str | None) -> None:
    (tmp_path / "SegmentationClass").mkdir()
    if text:
        (tmp_path / "labelmap.txt").write_text(text)
    with pytest.raises(DataError, match=r"labelmap\.txt"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["a:b", "#a"])
def test_a_class_that_a_label_map_cannot_hold_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutError, match="cannot hold"), voc.writing(tmp_path, (name,), ""):
        pass


# PNG


def test_png_needs_to_know_its_classes(tmp_path: Path) -> None:
    Image.fromarray(INSIDE.astype(np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"classes\.csv.*--classes"):
        read(tmp_path)
    for path in (tmp_path, tmp_path / "a.png"):
        (found,) = read(path, classes=["pit"]).pictures
        assert_inside(found)
    (tmp_path / "classes.csv").write_text("value,label\n2,pit\n")
    with pytest.raises(ImageError, match="value 1 is no class"):
        only(tmp_path, "png").draw(("pit",))
    Image.fromarray(INSIDE.astype(np.uint8) * 255).save(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match="JPEG"):
        read(tmp_path).pictures[0].draw(("pit",))
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    with pytest.raises(ImageError, match=r"a\.png"):
        read(tmp_path).pictures[1].draw(("pit",))
