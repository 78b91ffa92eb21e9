"""The function, driven by CVAT's own SDK; only its server is not there."""

from dataclasses import dataclass, field
from logging import getLogger
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cvat_sdk.auto_annotation as cvataa
import numpy as np
import pytest
from cvat_sdk import models
from cvat_sdk.auto_annotation import driver
from cvat_sdk.masks import decode_mask
from numpy.typing import NDArray
from PIL import Image

from relmask.formats.cvat import labels
from relmask.inference.run import Run
from relmask.inference.segmenter import Segmentation
from relmask.serve import cvat
from tests.serve.conftest import CLASSES, SIZE

GREEN_ID, RED_ID, SCORE_ID = 71, 72, 5


def picture() -> Image.Image:
    """A red ring and two green spots."""
    pixels = np.zeros((SIZE, SIZE + 8, 3), np.uint8)
    pixels[4:16, 4:18, 0] = 255
    pixels[8:12, 9:13, 0] = 0
    pixels[22:24, 4:7, 1] = 255
    pixels[22:24, 34:37, 1] = 255
    return Image.fromarray(pixels)


@dataclass
class Server:
    """Stands for CVAT: one task of two pictures, whose labels are those of labels.json."""

    uploaded: Any = None
    attributes: bool = True
    logger: Any = field(default_factory=lambda: getLogger("test"))

    @property
    def tasks(self) -> Any:  # noqa: ANN401 - the SDK's repository
        def update(task: int, labeled_data_request: Any) -> None:  # noqa: ANN401
            self.uploaded = labeled_data_request

        return SimpleNamespace(api=SimpleNamespace(update_annotations=update))

    def dataset(self, client: object, task: int, **options: object) -> Any:  # noqa: ANN401
        ids = {"green": GREEN_ID, "red stain": RED_ID}
        return SimpleNamespace(
            labels=[self._label(ids[label["name"]], label) for label in labels(("green", "red stain"))],
            samples=[
                SimpleNamespace(frame_name=f"{n}.png", frame_index=n, media=SimpleNamespace(load_image=load))
                for n, load in enumerate([picture, lambda: Image.new("L", (SIZE, SIZE))], start=10)
            ],
        )

    def _label(self, number: int, label: dict[str, Any]) -> models.Label:
        attributes = [
            models.Attribute(id=SCORE_ID, **{**one, "input_type": models.InputTypeEnum(one["input_type"])})
            for one in label["attributes"]
        ]
        return models.Label(
            name=label["name"],
            id=number,
            type=label["type"],
            sublabels=[],
            attributes=attributes if self.attributes else [],
        )


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setattr(driver, "TaskDataset", server.dataset)
    return server


def annotate(server: Server, run: Run, **options: Any) -> list[Any]:  # noqa: ANN401
    cvataa.annotate_task(server, 1, cvat.Function(run), clear_existing=True, **options)
    assert not server.uploaded.tags
    return list(server.uploaded.shapes)


def expected(run: Run) -> NDArray[np.uint8]:
    mask = found_by(run).mask
    assert set(np.unique(mask)) == {0, 1, 2}
    return mask


def found_by(run: Run) -> Segmentation:
    return run.segment(np.asarray(picture()).astype(np.float32) / np.float32(255))


def test_masks_reach_the_task_with_its_labels_and_the_score(server: Server, colours: Run) -> None:
    shapes = annotate(server, colours)
    mask = expected(colours)
    found = np.zeros_like(mask)
    for shape in shapes:
        assert (shape.frame, shape.type.value, shape.source) == (10, "mask", "auto")
        inside = decode_mask(shape.points, image_width=SIZE + 8, image_height=SIZE)
        found[inside] = {RED_ID: CLASSES.index("red stain") + 1, GREEN_ID: CLASSES.index("green") + 1}[
            shape.label_id
        ]
        (score,) = shape.attributes
        assert score.spec_id == SCORE_ID
        assert 50 <= int(score.value) <= 100
    assert len(shapes) == 3
    np.testing.assert_array_equal(found, mask)


def test_masks_of_a_student_reach_the_task(server: Server, student: Run) -> None:
    shapes = annotate(server, student)
    assert [shape.label_id for shape in shapes].count(RED_ID) == 1
    assert [shape.label_id for shape in shapes].count(GREEN_ID) == 2


def test_polygons_where_cvat_asks_for_them(server: Server, colours: Run) -> None:
    shapes = annotate(server, colours, conv_mask_to_poly=True)
    assert {shape.type.value for shape in shapes} == {"polygon"}
    assert [shape.label_id for shape in shapes].count(RED_ID) == 2  # a ring has a hole, polygons have none
    area = 0.0
    for shape in shapes:
        x, y = np.array(shape.points).reshape(-1, 2).T
        area += abs(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2
    assert area == np.count_nonzero(expected(colours))


def test_what_is_less_probable_than_asked_is_left_out(server: Server, colours: Run) -> None:
    scores = found_by(colours).scores
    assert scores["green"] < scores["red stain"]
    shapes = annotate(server, colours, conf_threshold=(scores["green"] + scores["red stain"]) / 2)
    assert {shape.label_id for shape in shapes} == {RED_ID}


def test_a_task_without_the_attribute_takes_the_masks_when_told_to(server: Server, colours: Run) -> None:
    server.attributes = False
    with pytest.raises(cvataa.BadFunctionError, match="score"):
        annotate(server, colours)
    shapes = annotate(server, colours, allow_unmatched_labels=True)
    assert len(shapes) == 3
    assert not any(shape.attributes for shape in shapes)


def test_cvat_s_command_line_makes_the_function_of_a_folder(trained: Run, tmp_path: Path) -> None:
    function = cvat.create(str(trained.path), device="cpu")
    assert tuple(label.name for label in function.spec.labels) == trained.metadata.classes
