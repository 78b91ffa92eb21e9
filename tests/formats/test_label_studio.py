"""Tasks as Label Studio exports them; their layout is that of its own documentation."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from relmask.arrays import Mask
from relmask.errors import DataError, ImageError
from relmask.formats import label_studio, read
from relmask.formats.addresses import located, name_of
from relmask.formats.brush import encode
from tests.formats.exports import CORNERS, INSIDE, as_json, assert_inside, left_out, only
from tests.formats.masks import CLASSES, RING, picture


def region(kind: str, **value: object) -> dict[str, object]:
    return {
        "original_width": 8,
        "original_height": 6,
        "image_rotation": 0,
        "value": {**value, kind: ["pit"]},
        "id": f"Dx_aB91ISN{kind}",
        "from_name": "label",
        "to_name": "image",
        "type": kind,
        "origin": "manual",
    }


def task(*regions: object, image: str = "/data/upload/3/0a1b2c3d-b.png", **more: object) -> dict[str, object]:
    annotation = {
        "id": 1,
        "result": list(regions),
        "was_cancelled": False,
        "updated_at": "2026-01-01T00:00:00Z",
    }
    return {"id": 1, "data": {"image": image}, "annotations": [{**annotation, **more}], "predictions": []}


def bitmask(inside: Mask) -> str:
    """Black on transparent, as a canvas gives it."""
    buffer = io.BytesIO()
    alpha = Image.fromarray(inside.astype(np.uint8) * 255)
    Image.merge("LA", (Image.new("L", alpha.size), alpha)).save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


BRUSH = region("brushlabels", format="rle", rle=encode(INSIDE, (6, 8)))
PERCENT = [[x * 100 / 8, y * 100 / 6] for x, y in CORNERS]
POLYGON = region("polygonlabels", points=PERCENT, closed=True)
RECTANGLE = region("rectanglelabels", x=25, y=100 / 6, width=62.5, height=50, rotation=0)
OF_IMAGE = {"type": "choices", "id": "c", "to_name": "image", "value": {"choices": ["blurred"]}}


def without(result: dict[str, object], *keys: str) -> dict[str, object]:
    return {key: value for key, value in result.items() if key not in keys}


@pytest.mark.parametrize(
    "regions",
    [
        [BRUSH],
        [POLYGON],
        [RECTANGLE],
        [region("rectanglelabels", x=87.5, y=100 / 6, width=37.5, height=500 / 6, rotation=90)],
        [region("bitmasklabels", imageDataURL=bitmask(INSIDE))],
        [POLYGON, region("brushlabels", format="rle", rle=encode(INSIDE & False, (6, 8)))],  # erased again
        # The shape and its label apart, and what was asked about the region, in one id:
        [
            {
                **without(RECTANGLE, "value"),
                "type": "rectangle",
                "value": {"x": 25, "y": 100 / 6, "width": 62.5, "height": 50, "rotation": 0},
            },
            {**RECTANGLE, "type": "labels", "value": {"labels": ["pit"]}},
            {**RECTANGLE, "type": "choices", "value": {"x": 1, "choices": ["deep"]}},
        ],
    ],
)
def test_regions_with_an_area(tmp_path: Path, regions: list[object]) -> None:
    found = only(as_json(tmp_path / "export.json", [task(*regions)]), "label-studio")
    assert (found.image, found.reviewed, found.labels) == ("b.png", True, frozenset({"pit"}))
    assert_inside(found)


def test_ellipses_are_round(tmp_path: Path) -> None:
    ellipse = region("ellipselabels", x=50, y=50, radiusX=37.5, radiusY=100 / 3, rotation=0)
    mask = only(as_json(tmp_path / "export.json", [task(ellipse)]), "label-studio").draw(("pit",))
    assert mask.sum() == 20


@pytest.mark.parametrize(
    ("result", "counted"),
    [
        (OF_IMAGE, "results of type choices (1)"),
        ({"type": "relation", "from_id": "a", "to_id": "b"}, "results of type relation (1)"),
        (region("keypointlabels", x=5, y=5, width=0.5), "key points (1)"),
        (region("polygonlabels", points=PERCENT, closed=False, x=1) | {"id": "o"}, "open lines (1)"),
        (region("polygonlabels", points=[[1, 1], [2, 2]]) | {"id": "o"}, "polygons without area (1)"),
        (region("rectanglelabels", x=5, y=5, width=0, height=9), "polygons without area (1)"),
        (
            {**without(POLYGON, "id"), "type": "polygon", "value": {"points": PERCENT}},
            "regions without a label (1)",
        ),
        (
            {**POLYGON, "id": "o", "value": {"points": PERCENT, "choices": ["deep"]}},
            "regions without a label (1)",
        ),
        (region("videorectanglelabels", sequence=[]), "results of type videorectanglelabels (1)"),
        (
            {**POLYGON, "id": "o", "value": {"points": PERCENT, "polygonlabels": ["pit", "dent", "pit"]}},
            "labels of regions that have an earlier one (1)",
        ),
    ],
)
def test_what_cannot_be_in_the_mask_is_left_out_and_counted(
    tmp_path: Path, result: object, counted: str
) -> None:
    found = left_out(as_json(tmp_path / "a.json", [task(POLYGON, result)]), counted)
    assert found.classes == ("pit",)
    assert_inside(found.pictures[0])


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({**BRUSH, "image_rotation": 90}, "the picture was turned"),
        (region("brushlabels", rle="AAAA"), "`rle` should be a list of numbers"),
        (region("brushlabels", rle=[1, 300]), "numbers from 0 to 255"),
        (region("brushlabels", rle=[1, 2]), "ends too early"),
        (region("brushlabels", rle=encode(INSIDE.T, (8, 6))[:-3]), "brush code ends too early"),
        (region("brushlabels", rle=encode(INSIDE[1:], (5, 8))), "not those of 8x6 pixels"),
        (region("bitmasklabels", imageDataURL=bitmask(INSIDE[1:])), "its bitmask has 8x5 pixels, not 8x6"),
        (region("bitmasklabels", imageDataURL="data:image/png;base64,AAAA"), "PNG file in base64"),
        (region("polygonlabels", points=[[1, 2, 3]]), "pairs of numbers"),
        (region("rectanglelabels", x="left", y=1, width=2, height=3), "`x` should be a number"),
        (
            region("brushlabels", rle=[]) | {"value": {"rle": [], "brushlabels": [None]}},
            "`brushlabels` is missing",
        ),
    ],
)
def test_a_damaged_region_fails_its_picture_alone(tmp_path: Path, result: object, reason: str) -> None:
    content = [task(result), task(POLYGON, image="c.png")]
    broken, whole = read(as_json(tmp_path / "a.json", content)).pictures
    with pytest.raises(ImageError, match=rf"^b\.png: .*region Dx_aB91ISN\w+: .*{reason}"):
        broken.draw(("pit",))
    assert_inside(whole)


def test_a_person_s_answer_counts_before_a_prediction(tmp_path: Path) -> None:
    both = {**task(BRUSH), "predictions": [{"result": [], "score": 0.9}]}
    skipped = {**task(BRUSH, was_cancelled=True), "predictions": [{"result": []}]}
    newest = task(BRUSH)
    newest["annotations"] = [
        {"result": [], "updated_at": "2026-01-01"},
        {"result": [BRUSH], "updated_at": "2026-01-03"},
        {"result": [], "updated_at": "2026-01-02"},
    ]
    marked = {**newest, "annotations": [*newest["annotations"], {"result": [], "ground_truth": True}]}  # type: ignore[misc]
    nothing = {"data": {"image": "x.png"}}
    ids = {"data": {"image": "x.png"}, "annotations": [], "predictions": [7]}
    path = as_json(tmp_path / "a.json", [both, skipped, newest, marked, nothing, ids])
    found = left_out(
        path, "annotations of tasks that have a newer one (5), tasks without annotations (2)"
    ).pictures
    assert [picture.reviewed for picture in found] == [True, False, True, True]
    assert [picture.draw(("pit",), (6, 8)).any() for picture in found] == [True, False, True, False]


@pytest.mark.parametrize(
    ("data", "image"),
    [
        ({"serial": "A-17", "photo": "/data/upload/1/0a1b2c3d-b.png"}, "b.png"),
        ({"serial": "A-17.5", "url": "https://host/view?id=3"}, "view"),
        ({"thumbnail": "t.png", "image": "https://host/b?id=3"}, "b"),
        ({"thumbnail": "t.png", "image": "parts\\b.jpg"}, "parts/b.jpg"),
        ({"serial": "A-17", "image": "parts/000"}, "parts/000"),
        ({"anything": "000", "count": 3}, "000"),
    ],
)
def test_the_picture_is_in_the_field_that_looks_like_one(
    tmp_path: Path, data: dict[str, object], image: str
) -> None:
    found = only(as_json(tmp_path / "a.json", [{**task(POLYGON), "data": data}]), "label-studio")
    assert found.image == image
    assert_inside(found)


@pytest.mark.parametrize(
    "data",
    [{}, {"a": "A-17", "b": "B-18"}, {"image": ["a.png", "b.png"]}, {"image": "data:image/png;base64,AAAA"}],
)
def test_tasks_that_name_no_picture_are_counted(tmp_path: Path, data: dict[str, object]) -> None:
    path = as_json(tmp_path / "a.json", [{**task(POLYGON), "data": data}])
    assert not left_out(path, "tasks that name no picture (1)").pictures


def test_regions_on_several_pictures_of_a_task_fail_it(tmp_path: Path) -> None:
    found = only(
        as_json(tmp_path / "a.json", [task(POLYGON, {**RECTANGLE, "to_name": "back"})]), "label-studio"
    )
    with pytest.raises(ImageError, match=r"b\.png: drawn on several pictures of one task"):
        found.draw(("pit",), (6, 8))


def test_sizes_that_do_not_meet_are_told(tmp_path: Path) -> None:
    turned = {**RECTANGLE, "original_width": 6, "original_height": 8}
    found = only(as_json(tmp_path / "a.json", [task(POLYGON, turned)]), "label-studio")
    with pytest.raises(ImageError, match=r"drawn on pictures of 8x6 and 6x8 pixels"):
        found.draw(("pit",), (6, 8))
    old = without(POLYGON, "original_width", "original_height")
    assert_inside(only(as_json(tmp_path / "a.json", [task(old)]), "label-studio"), size=(6, 8))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([{"data": 7}], "task 1: `data` should be an object"),
        ([task(), {"data": {"image": "a.png"}, "annotations": 7}], "task 2: `annotations` should be a list"),
        (
            [{"image": "a.png", "label": [], "annotation_id": 3}],
            r"task 1: `data` .* JSON, but not in JSON-MIN",
        ),
        ([task(), 7], "`tasks` should be a list of objects"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(tmp_path: Path, content: object, reason: str) -> None:
    with pytest.raises(DataError, match=f"no complete JSON export of Label Studio: {reason}"):
        read(as_json(tmp_path / "a.json", content))


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://example.com/parts/ein%20Teil.png?token=1", "parts/ein Teil.png"),
        ("s3://bucket/parts/a.png", "parts/a.png"),
        ("/data/local-files/?d=parts%5Ca.png", r"parts\a.png"),
        ("parts/50%25.png", "parts/50%25.png"),
        ("https://example.com/parts/a.png?v=1&d=3", "parts/a.png"),
        ("http://localhost:8080/data/local-files/?d=parts/a.png", "parts/a.png"),
        ("https://host/label-studio/data/upload/3/0a1b2c3d-a.png", "a.png"),
        ("https://[a.png", "https://[a.png"),
    ],
)
def test_label_studio_s_names_of_pictures(url: str, name: str) -> None:
    assert name_of(url) == name


@pytest.mark.parametrize(
    "root",
    ["", "/data/local-files/?d=parts", "https://example.com/x", "s3://bucket", "C:/parts", "/srv/parts/"],
)
def test_what_a_task_calls_a_picture_is_understood_again(root: str) -> None:
    name = name_of(located(root, "a/ö 1#2.png"))
    assert name.endswith("a/ö 1#2.png")


def test_the_prediction_of_label_studio(tmp_path: Path) -> None:
    """The keys that labelstud.io/guide/predictions asks for; doubt sorts first."""
    found = label_studio.prediction(picture(RING), CLASSES, from_name="brush", to_name="photo")
    assert (found["score"], found["model_version"]) == (0.75, "relmask")
    ids = [result["id"] for result in found["result"]]
    assert len(set(ids)) == len(ids) == 4
    for result in found["result"]:
        assert result["type"] == "brushlabels"
        assert (result["from_name"], result["to_name"], result["image_rotation"]) == ("brush", "photo", 0)
        assert (result["original_width"], result["original_height"]) == (8, 6)
        assert result["value"]["format"] == "rle"
        (label,) = result["value"]["brushlabels"]
        assert result.get("score") == {"blow hole": 0.125, "Ölfleck": 0.75}.get(label)
    assert 'value="Kratzer, tief"' in label_studio.config(CLASSES)
