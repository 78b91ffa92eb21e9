"""Tasks as Label Studio exports them; their layout is that of its own documentation."""

from pathlib import Path

import pytest

from relmask.errors import ImageError
from relmask.formats import label_studio, read
from relmask.formats.brush import encode
from tests.formats.exports import CORNERS, INSIDE, as_json, assert_inside, only
from tests.formats.masks import CLASSES, RING, picture


def region(kind: str, **value: object) -> dict[str, object]:
    return {
        "original_width": 8,
        "original_height": 6,
        "image_rotation": 0,
        "value": {**value, kind: ["pit"]},
        "id": "Dx_aB91ISN",
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


BRUSH = region("brushlabels", format="rle", rle=encode(INSIDE, (6, 8)))
CHOICE = {"type": "choices", "from_name": "c", "to_name": "image", "value": {"choices": ["blurred"]}}


@pytest.mark.parametrize(
    "regions",
    [
        [BRUSH],
        [
            CHOICE,
            region("polygonlabels", points=[[x * 100 / 8, y * 100 / 6] for x, y in CORNERS], closed=True),
        ],
        [region("rectanglelabels", x=25, y=100 / 6, width=62.5, height=50, rotation=0)],
        [region("rectanglelabels", x=87.5, y=100 / 6, width=37.5, height=500 / 6, rotation=90)],
    ],
)
def test_label_studio_regions(tmp_path: Path, regions: list[object]) -> None:
    found = only(as_json(tmp_path / "export.json", [task(*regions)]), "label-studio")
    assert (found.image, found.reviewed) == ("b.png", True)
    assert_inside(found)


def test_label_studio_ellipses(tmp_path: Path) -> None:
    ellipse = region("ellipselabels", x=50, y=50, radiusX=37.5, radiusY=100 / 3, rotation=0)
    mask = only(as_json(tmp_path / "export.json", [task(ellipse)]), "label-studio").draw(("pit",))
    assert mask.sum() == 20


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
    content = [both, skipped, newest, marked, nothing]
    found = read(as_json(tmp_path / "a.json", content)).pictures
    assert [picture.reviewed for picture in found] == [True, False, True, True]
    assert [picture.draw(("pit",), (6, 8)).any() for picture in found] == [True, False, True, False]


def test_a_picture_that_was_turned_in_label_studio_is_refused(tmp_path: Path) -> None:
    found = only(as_json(tmp_path / "a.json", [task({**BRUSH, "image_rotation": 90})]), "label-studio")
    with pytest.raises(ImageError, match="turned"):
        found.draw(("pit",))


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://example.com/parts/ein%20Teil.png?token=1", "parts/ein Teil.png"),
        ("s3://bucket/parts/a.png", "parts/a.png"),
        ("/data/local-files/?d=parts%5Ca.png", r"parts\a.png"),
        ("parts/50%25.png", "parts/50%25.png"),
    ],
)
def test_label_studio_s_names_of_pictures(url: str, name: str) -> None:
    assert label_studio.name_of(url) == name


@pytest.mark.parametrize(
    "root",
    ["", "/data/local-files/?d=parts", "https://example.com/x", "s3://bucket", "C:/parts", "/srv/parts/"],
)
def test_what_a_task_calls_a_picture_is_understood_again(root: str) -> None:
    name = label_studio.name_of(label_studio.located(root, "a/ö 1#2.png"))
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
