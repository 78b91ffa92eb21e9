import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from relmask.data.index import Index, read_index
from relmask.data.truth import has_truth, read_truth
from relmask.errors import DataError, ImageError
from relmask.formats import FORMATS, Picture
from relmask.formats.corrected import corrected
from tests.data.pictures import picture
from tests.formats.exports import as_json

SIZE = 12, 16
PIT = np.zeros(SIZE, np.uint8)
PIT[2:5, 3:9] = 1
PIT[3, 4] = 0
DENT = np.zeros(SIZE, np.uint8)
DENT[7, 1:15] = 2
CLASSES = ("pit", "dent")  # not the order of DATA


@pytest.fixture
def index(tmp_path: Path) -> Index:
    """Five pictures of which DATA has no masks."""
    data = tmp_path / "data"
    for name in ("ok/0.png", "dent/0.png", "pit/0.png", "pit/1.png", "pit/2.png"):
        picture(data / name, size=SIZE)
    return read_index(data)


def exported(folder: Path, name: str, **masks: NDArray[np.uint8]) -> Path:
    """Masks by picture (with _ for /) as a tool of this format holds them."""
    with FORMATS[name].writing(folder, CLASSES, "") as write:
        for image, mask in masks.items():
            path = image.replace("_", "/")
            write(Picture(f"{path}.png", path, mask, 0.9))
    if name == "label-studio":  # an annotator submits what was predicted
        tasks = json.loads((folder / "tasks.json").read_text())
        for task in tasks:
            task["annotations"] = [{"result": task.pop("predictions")[0]["result"]}]
        (folder / "tasks.json").write_text(json.dumps(tasks))
    return folder


@pytest.mark.parametrize("name", FORMATS)
def test_what_a_tool_exports_becomes_the_truth(index: Index, tmp_path: Path, name: str) -> None:
    path = exported(tmp_path / name, name, pit_0=PIT, dent_0=DENT + PIT, pit_1=np.zeros(SIZE, np.uint8))
    found = corrected(index, path)
    truth = {s.name: read_truth(s, found) for s in found.samples if has_truth(s)}
    assert set(truth) == {"ok/0.png", "dent/0.png", "pit/0.png", "pit/1.png"}
    np.testing.assert_array_equal(truth["pit/0.png"], 2 * PIT)
    np.testing.assert_array_equal(truth["dent/0.png"], 2 * PIT + DENT // 2)
    assert not truth["pit/1.png"].any()
    assert not truth["ok/0.png"].any()


def test_plain_masks_mean_what_those_of_data_would(index: Index, tmp_path: Path) -> None:
    exported(tmp_path / "png", "png", pit_0=PIT * 2, dent_0=PIT)
    (tmp_path / "png/classes.csv").unlink()
    found = corrected(index, tmp_path / "png")
    truth = {s.name: read_truth(s, found) for s in found.samples if has_truth(s)}
    np.testing.assert_array_equal(truth["pit/0.png"], 2 * PIT)
    np.testing.assert_array_equal(truth["dent/0.png"], PIT)
    assert set(truth) == {"ok/0.png", "dent/0.png", "pit/0.png"}


def test_the_masks_of_data_do_not_count_any_more(index: Index, tmp_path: Path) -> None:
    samples = tuple(
        dataclasses.replace(s, mask=picture(tmp_path / "m.png", size=SIZE)) for s in index.samples
    )
    own = dataclasses.replace(index, samples=samples)
    found = corrected(own, exported(tmp_path / "coco", "coco", pit_0=PIT))
    assert [s.name for s in found.samples if has_truth(s)] == ["ok/0.png", "pit/0.png"]


def test_predictions_are_no_truth(index: Index, tmp_path: Path) -> None:
    with FORMATS["label-studio"].writing(tmp_path / "tasks", CLASSES, "") as write:
        write(Picture("pit/0.png", "pit/0", PIT))
    with pytest.raises(DataError, match="predictions only"):
        corrected(index, tmp_path / "tasks")


def test_a_defect_on_a_clean_picture_is_a_contradiction(index: Index, tmp_path: Path) -> None:
    found = corrected(index, exported(tmp_path / "cvat", "cvat", ok_0=DENT, pit_0=PIT))
    clean = next(sample for sample in found.samples if not sample.labels)
    with pytest.raises(ImageError, match=r"labelled as clean, but dent is drawn"):
        read_truth(clean, found)


def test_a_mask_of_another_size_is_refused(index: Index, tmp_path: Path) -> None:
    found = corrected(index, exported(tmp_path / "cvat", "cvat", pit_0=PIT[:, :-1]))
    sample = next(sample for sample in found.samples if sample.name == "pit/0.png")
    with pytest.raises(ImageError, match="annotated at 15x12 pixels, but has 16x12"):
        read_truth(sample, found)


def test_classes_that_data_does_not_have_are_refused(index: Index, tmp_path: Path) -> None:
    with FORMATS["coco"].writing(tmp_path / "coco", ("scratch",), "") as write:
        write(Picture("pit/0.png", "pit/0", PIT))
    with pytest.raises(DataError, match=r"has the classes scratch, but .* has dent, pit"):
        corrected(index, tmp_path / "coco")


def test_pictures_of_other_data_are_told(index: Index, tmp_path: Path) -> None:
    path = exported(tmp_path / "coco", "coco", pit_0=PIT, other_7=PIT)
    with pytest.warns(UserWarning, match="1 of 2 pictures in .* are not in"):
        corrected(index, path)
    with pytest.raises(DataError, match="No picture that is annotated"):
        corrected(index, exported(tmp_path / "yolo", "yolo", other_7=PIT))


def test_shapes_without_area_are_no_classes_that_data_lacks(index: Index, tmp_path: Path) -> None:
    """A person notes things with points, and marks what counts neither way."""
    shapes = [
        {"label": "pit", "points": [[1, 1], [5, 1], [5, 5]], "shape_type": "polygon"},
        {"label": "note", "points": [[2, 2]], "shape_type": "point"},
        {"label": "__ignore__", "points": [[0, 0], [16, 2]], "shape_type": "rectangle"},
    ]
    content = {"shapes": shapes, "imagePath": "0.png", "imageHeight": SIZE[0], "imageWidth": SIZE[1]}
    as_json(tmp_path / "labels/pit/0.json", content)
    with pytest.warns(UserWarning, match=r"Left out of .*labels: points \(1\)\."):
        found = corrected(index, tmp_path / "labels")
    sample = next(sample for sample in found.samples if sample.name == "pit/0.png")
    assert np.unique(read_truth(sample, found)).tolist() == [0, 2]
    assert not read_truth(sample, found)[:2].any()
