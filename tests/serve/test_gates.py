import base64
import json
from pathlib import Path

import httpx
import numpy as np
import pytest

from relmask.inference.run import Run
from relmask.masks.gates import Scores
from relmask.models.bundle import read_metadata, save_metadata
from relmask.models.kept_scores import KeptScores, write_scores
from tests.serve.conftest import CLASSES, RED, only, picture, sent, serving

TRACE = {1: (slice(5, 6), slice(4, 7))}
"""Three green pixels: the gate is above 4."""


def test_a_request_may_bring_gates_of_its_own(client: httpx.Client, colours: Run) -> None:
    images = sent(picture(RED | TRACE))
    before = only(client.post("/segment", files=images, data={"mask": "rle"}))
    assert before["logits"] == pytest.approx({"red stain": 60, "green": 3}, abs=1e-3)
    chosen = {"red stain": {"level": 0.3, "gate": 61}, "green": {"level": 0.3, "gate": 2.5}}
    fields = {"mask": "rle", "relevance": "true", "thresholds": json.dumps(chosen)}
    entry = only(client.post("/segment", files=images, data=fields))
    assert [runs["label"] for runs in entry["rle"]] == ["green"]
    assert set(entry["relevance"]["classes"]) == {"green"}
    assert entry["scores"] == before["scores"]
    assert client.get("/run").json()["classes"][1]["thresholds"]["gate"] == 4
    written = read_metadata(colours.path).calibration
    assert written is not None
    assert not written.by_hand


def test_a_gate_is_saved_like_any_threshold_and_stays_where_none_is_named(
    client: httpx.Client, colours: Run
) -> None:
    level = colours.segmenter.calibration.classes["green"].level
    answer = client.put("/thresholds", json={"green": {"level": level, "gate": 2.5}})
    assert answer.status_code == 200
    assert answer.json()["by_hand"]
    client.put("/thresholds", json={"green": {"level": 0.2}})
    written = read_metadata(colours.path).calibration
    assert written is not None
    assert (written.classes["green"].gate, written.classes["green"].level) == (2.5, 0.2)
    assert written.false_alarms == 0.01  # what the other gates were chosen for
    entry = only(client.post("/segment", files=sent(picture(TRACE))))
    assert [part["label"] for part in entry["components"]] == ["green"]


@pytest.mark.parametrize("gate", ['"x"', "1e999", "NaN"])
def test_a_gate_that_is_no_number_is_refused(client: httpx.Client, gate: str) -> None:
    chosen = f'{{"green": {{"level": 1, "gate": {gate}}}}}'
    assert client.post("/segment", files=sent(picture()), data={"thresholds": chosen}).status_code == 422


def test_a_clean_picture_is_explained_if_asked(client: httpx.Client) -> None:
    fields = {"relevance": "true", "explain_clean": "true", "mask": "rle"}
    entry = only(client.post("/segment", files=sent(picture(TRACE)), data=fields))
    assert (entry["status"], entry["explained"], entry["rle"]) == ("clean", "green", [])
    assert entry["relevance"]["novelty"] is None  # a module of one's own knows no clean pictures
    values = np.frombuffer(base64.b64decode(entry["relevance"]["classes"]["green"]), "<f4").reshape(32, 32)
    assert np.array_equal(values > 0.3, picture(TRACE)[..., 1] > 0)
    entry = only(client.post("/segment", files=sent(picture(RED)), data=fields))
    assert (entry["status"], entry["explained"]) == ("defect", "")


def test_where_a_clean_picture_is_unlike_others_is_told(trained: Run, parts: Path) -> None:
    paths = sorted((parts / "images").iterdir())
    clean = next(path for path in paths if trained.segment(path).relevance is None)
    expected = trained.segment(clean, explain_clean=True).novelty_map
    assert expected is not None
    fields = {"relevance": "true", "explain_clean": "true"}
    with serving(trained) as client:
        entry = only(client.post("/segment", files=sent(clean.read_bytes()), data=fields))
    values = np.frombuffer(base64.b64decode(entry["relevance"]["novelty"]), "<f4").reshape(expected.shape)
    np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-3)


def test_the_scores_that_a_run_keeps_are_told(client: httpx.Client, colours: Run) -> None:
    logits, targets = np.array([[0, 0.25], [1.5, 9]]), np.array([[0, 0], [0, 1]], bool)
    scores = KeptScores(Scores(logits, targets, ["b", "a"]), ["1.png", "2.png"], ["validation", "new"])
    write_scores(colours.path, scores, CLASSES)
    assert client.get("/scores").json()["images"] == [
        {"labels": [], "group": 0, "source": "validation", "logits": [0, 0.25]},
        {"labels": ["green"], "group": 1, "source": "new", "logits": [1.5, 9]},
    ]


def test_a_run_of_an_earlier_version_keeps_no_scores_and_says_so(client: httpx.Client) -> None:
    answer = client.get("/scores")
    assert answer.status_code == 404
    assert "relmask calibrate" in answer.json()["detail"]


@pytest.mark.parametrize("never_clean", [False, True])
def test_where_no_picture_is_clean_the_strongest_class_is_masked_and_that_is_told(
    colours: Run, never_clean: bool
) -> None:
    calibration = colours.segmenter.calibration.model_copy(update={"never_clean": never_clean})
    metadata = colours.metadata.model_copy(update={"calibration": calibration})
    save_metadata(colours.path, metadata)
    run = Run(colours.path, metadata, colours.model)
    with serving(run) as client:
        assert client.get("/run").json()["never_clean"] is never_clean
        entry = only(client.post("/segment", files=sent(picture(TRACE)), data={"mask": "rle"}))
        assert [runs["label"] for runs in entry["rle"]] == (["green"] if never_clean else [])
        level = calibration.classes["green"].level
        answer = client.put("/thresholds", json={"green": {"level": level, "gate": 99}})
        assert answer.json()["never_clean"] is never_clean
        entry = only(client.post("/segment", files=sent(picture(TRACE)), data={"mask": "rle"}))
        assert [runs["label"] for runs in entry["rle"]] == (["green"] if never_clean else [])
