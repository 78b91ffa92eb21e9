"""A student, which draws its masks itself, is served as any run."""

import base64
from pathlib import Path

import numpy as np
import pytest
from torch import nn

import relmask
from relmask.formats import label_studio
from relmask.inference.run import Run
from relmask.models import bundle
from relmask.models.unet import unet
from relmask.serve import Settings
from tests.serve.conftest import CLASSES, GREEN, RED, picture, png, sent, serving


@pytest.fixture
def saved(student: Run) -> Path:
    """The student on disk, with a network that knows nothing."""
    network = unet("vgg-narrow", len(CLASSES), pretrained=False).eval()
    last = network.head[-1]
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    nn.init.constant_(last.bias, 1)  # so that it finds something
    bundle.save(student.path, network, student.metadata)
    return student.path


def test_a_student_from_disk_is_served_and_its_thresholds_can_be_saved(saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "both.png"
    path.write_bytes(png(picture(RED | GREEN, 40, 50)))
    run = relmask.load(saved)
    expected = run.segment(path)
    assert expected.mask.any()
    with serving(run) as client:
        [found] = client.post("/segment", files=sent(path.read_bytes())).json()["images"]
        assert [part["area"] for part in found["components"]] == [part.area for part in expected.components]
        assert found["scores"] == pytest.approx(dict(expected.scores), abs=1e-5)
        assert client.put("/thresholds", json={"green": {"level": 0.9}}).status_code == 200
    written = bundle.read_metadata(saved)
    assert written.calibration is not None
    assert written.calibration.classes["green"].level == 0.9
    assert written.trained_on_masks


def test_its_maps_are_probabilities_and_the_run_says_so(student: Run) -> None:
    with serving(student) as client:
        described = client.get("/run").json()
        [found] = client.post("/segment", files=sent(picture(RED)), data={"relevance": "true"}).json()[
            "images"
        ]
    assert (described["unit"], described["full_scale"]) == ("probability", 1)
    assert list(found["relevance"]["classes"]) == ["red stain"]
    data = base64.b64decode(found["relevance"]["classes"]["red stain"])
    values = np.frombuffer(data, "<f4").reshape(32, 32)
    inside = picture(RED)[..., 0] > 0
    assert values[inside].min() > 0.99
    assert 0 <= values[~inside].min() <= values[~inside].max() < 0.01


def test_a_run_of_relevance_says_its_unit(colours: Run) -> None:
    with serving(colours) as client:
        described = client.get("/run").json()
    assert (described["unit"], described["full_scale"]) == ("logits a pixel", 100 / 32**2)


def test_masks_that_its_training_saw_are_told(student: Run, colours: Run) -> None:
    assert student.metadata.calibration is not None
    assert not student.metadata.calibration.saw_masks
    for run, saw in ((student, True), (colours, False)):
        with serving(run) as client:
            assert client.get("/run").json()["saw_masks"] is saw


def test_label_studio_gets_its_masks(student: Run) -> None:
    inline = "data:image/png;base64," + base64.b64encode(png(picture(RED | GREEN))).decode()
    request = {"tasks": [{"data": {"image": inline}}], "label_config": label_studio.config(CLASSES)}
    with serving(student, Settings(port=0)) as client:
        [found] = client.post("/predict", json=request).json()["results"]
    assert sorted(region["value"]["brushlabels"][0] for region in found["result"]) == ["green", "red stain"]
