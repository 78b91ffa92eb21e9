"""COCO's files as annotation tools export them; their layout is that of its own documentation."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relmask.errors import DataError, ImageError
from relmask.formats import Annotation, read
from relmask.formats.runs import counts, to_text
from tests.formats.exports import CORNERS, INSIDE, as_json, assert_inside, left_out, only

POLYGON = np.ravel(CORNERS).tolist()


def annotated(segmentation: object = None, **more: object) -> dict[str, object]:
    return {
        "id": 1,
        "image_id": 3,
        "category_id": 7,
        "segmentation": segmentation,
        "area": 15.0,
        "bbox": [2.0, 1.0, 5.0, 3.0],
        "iscrowd": 0,
        "attributes": {"occluded": False},
        **more,
    }


def coco(*annotations: object, **more: object) -> dict[str, Any]:
    return {
        "info": {"contributor": "", "year": ""},
        "licenses": [{"name": "", "id": 0, "url": ""}],
        "categories": [{"id": 7, "name": "pit", "supercategory": ""}],
        "images": [{"id": 3, "width": 8, "height": 6, "file_name": "a/b.png", "license": 0}],
        "annotations": list(annotations),
        **more,
    }


def first(path: Path, content: object) -> Annotation:
    return only(as_json(path / "a.json", content), "coco")


@pytest.mark.parametrize(
    "segmentation",
    [
        [POLYGON],
        POLYGON,  # some tools forget that there may be several
        [[2.0, 1.0, 4.0, 1.0, 4.0, 4.0, 2.0, 4.0], [4.0, 1.0, 7.0, 1.0, 7.0, 4.0, 4.0, 4.0]],
        {"size": [6, 8], "counts": [13, 3, 3, 3, 3, 3, 3, 3, 3, 3, 8]},
        {"size": [6, 8], "counts": to_text(counts(INSIDE.T, (8, 6)))},
    ],
)
def test_polygons_and_run_lengths(tmp_path: Path, segmentation: object) -> None:
    as_json(tmp_path / "annotations/instances_default.json", coco(annotated(segmentation)))
    assert_inside(only(tmp_path, "coco"))
    as_json(tmp_path / "annotations/instances_default.json", coco(annotated(segmentation, iscrowd=1)))
    assert_inside(only(tmp_path, "coco"))


@pytest.mark.parametrize(
    ("annotation", "counted"),
    [
        (annotated([], keypoints=[1, 2, 2], num_keypoints=1), "key points (1)"),
        (annotated(), "boxes without a mask (1)"),
        (annotated([]), "boxes without a mask (1)"),
        (annotated([[]]), "boxes without a mask (1)"),
        (annotated(bbox=None), "annotations without a shape (1)"),
        (annotated([[1, 2, 3, 4]]), "polygons without area (1)"),
        (annotated([[1, 2, 3, 2, 5, 2]]), "polygons without area (1)"),
        (annotated([POLYGON], image_id=4), "annotations of images that are not listed (1)"),
    ],
)
def test_what_has_no_area_is_left_out_and_counted(tmp_path: Path, annotation: object, counted: str) -> None:
    path = as_json(tmp_path / "a.json", coco(annotation, annotated([POLYGON])))
    (found,) = left_out(path, counted).pictures
    assert_inside(found)


def test_a_picture_with_boxes_only_is_not_clean(tmp_path: Path) -> None:
    path = as_json(tmp_path / "a.json", coco(annotated([]), annotated([])))
    (found,) = left_out(path, "boxes without a mask (2)").pictures
    with pytest.raises(ImageError, match=r"a/b\.png: .* boxes only, and no mask"):
        found.draw(("pit",))


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        ({"size": [6, 8], "counts": [47]}, "add up to 6x8"),
        ({"size": [6, 8], "counts": ["48"]}, "whole numbers"),
        ({"size": [6, 8], "counts": "é"}, "text of its run lengths"),
        ({"size": [6, 8]}, "`counts`"),
        ({"size": [8, 6], "counts": [48]}, "a mask has 6x8 pixels, but the image has 8x6"),
        ({"size": 7, "counts": [48]}, "`size`"),
        ([[1, 2, 3]], "pairs of numbers"),
        ([[0, 0, 1, "x", 1, 1]], "pairs of numbers"),
        ([[0, 0, 1, 1e300, 1, 1]], "pairs of numbers"),
        (7, "pairs of numbers"),
        ([[90, 90, 95, 90, 95, 95]], "not on a single pixel of 8x6"),
        ([[0.2, 0.1, 0.4, 0.1, 0.4, 0.4]], "not on a single pixel of 8x6"),
    ],
)
def test_a_damaged_annotation_fails_its_picture_alone(
    tmp_path: Path, segmentation: object, reason: str
) -> None:
    content = coco(annotated(segmentation), annotated([POLYGON], image_id=4))
    content["images"].append({"id": 4, "width": 8, "height": 6, "file_name": "c.png"})
    broken, whole = read(as_json(tmp_path / "a.json", content)).pictures
    with pytest.raises(ImageError, match=rf"^a/b\.png: .*{reason}"):
        broken.draw(("pit",))
    assert_inside(whole)


def test_a_category_that_the_file_lacks_fails_its_picture_alone(tmp_path: Path) -> None:
    found = first(tmp_path, coco(annotated([POLYGON], category_id=8)))
    with pytest.raises(ImageError, match="annotation 1: its category 8 is none"):
        found.draw(("pit",))


def test_ids_begin_at_0_have_gaps_and_may_be_texts(tmp_path: Path) -> None:
    content = coco(annotated([POLYGON], category_id=90, image_id="007"), annotated([], image_id="7"))
    content["categories"] = [
        {"id": 0, "name": "dent"},
        {"id": "90", "name": "pit"},
        {"id": 91.0, "name": "dust"},
    ]
    content["images"][0]["id"] = "007"  # not the image 7
    path = as_json(tmp_path / "a.json", content)
    found = left_out(path, "annotations of images that are not listed (1)")
    assert found.classes == ("dent", "pit", "dust")
    assert_inside(found.pictures[0])


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"annotations": 7}, "`annotations` should be a list"),
        ({"images": [{"id": 3}]}, "number 1 of its images: `file_name` is missing"),
        ({"images": [{"file_name": "a.png"}]}, "number 1 of its images: `id` is missing"),
        ({"annotations": [{"id": 1}]}, "annotation 1: `image_id` is missing"),
        (
            {"images": [{"id": 3, "file_name": "a.png"}, {"id": 3, "file_name": "b.png"}]},
            r"number 2 of its images: the id 3 is taken by a\.png",
        ),
        (
            {"categories": [{"id": 7, "name": "pit"}, {"id": 7, "name": "dent"}]},
            "number 2 of its categories: the id 7 is taken by pit",
        ),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(
    tmp_path: Path, more: dict[str, object], reason: str
) -> None:
    with pytest.raises(DataError, match=rf"a\.json is no complete COCO file: {reason}"):
        read(as_json(tmp_path / "a.json", coco(**more)))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_files_of_windows_are_read(tmp_path: Path, encoding: str) -> None:
    content = coco(annotated([POLYGON]))
    content["images"][0] |= {"file_name": "C:\\parts\\a\\b.png"}
    path = as_json(tmp_path / "a.json", content)
    path.write_bytes(path.read_text().replace(" ", "\r\n").encode(encoding))
    found = only(path, "coco")
    assert_inside(found)
    assert found.image == "C:/parts/a/b.png"


def test_sizes_that_are_missing_come_from_the_picture(tmp_path: Path) -> None:
    found = first(
        tmp_path, coco(annotated([POLYGON]), images=[{"id": 3, "file_name": "b.png", "height": None}])
    )
    assert_inside(found, size=(6, 8))
    with pytest.raises(ImageError, match="--images"):
        found.draw(("pit",))


def test_other_files_in_the_folder_do_not_hide_it(tmp_path: Path) -> None:
    as_json(tmp_path / "a.json", {"version": 1})
    (tmp_path / "b.json").write_text("// no JSON")
    as_json(tmp_path / "c.json", coco(annotated([POLYGON])))
    (tmp_path / ".vscode").mkdir()
    (tmp_path / ".vscode/a.json").write_text("// hidden")
    with pytest.raises(DataError, match=r"b\.json is no JSON file that can be read: it breaks in line 1"):
        read(tmp_path)
    (tmp_path / "b.json").unlink()
    assert_inside(only(tmp_path, "coco"))
