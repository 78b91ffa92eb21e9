import errno
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from relmask.inference.run import Run
from relmask.models.bundle import read_metadata, save_metadata
from tests.serve.conftest import CLASSES, GREEN, RED, only, picture, sent


def test_thresholds_can_be_tried_without_saving_them(client: httpx.Client) -> None:
    image = picture(RED | GREEN)
    high = {"red stain": {"level": 1.5}, "green": {"level": 0.3, "min_area": 16}}
    tried = only(client.post("/segment", files=sent(image), data={"thresholds": json.dumps(high)}))
    assert [part["label"] for part in tried["components"]] == ["green"]
    high["green"]["min_area"] = 17
    tried = only(client.post("/segment", files=sent(image), data={"thresholds": json.dumps(high)}))
    assert tried["status"] == "clean"
    assert len(only(client.post("/segment", files=sent(image)))["components"]) == 2


def test_saved_thresholds_are_in_the_run_and_in_use(client: httpx.Client, colours: Run) -> None:
    before = client.get("/run").json()
    assert [entry["name"] for entry in before["classes"]] == list(CLASSES)
    assert not before["by_hand"]
    chosen = {"green": {"level": 0.5, "min_area": 40}}
    answer = client.put("/thresholds", json=chosen)
    assert answer.status_code == 200
    assert answer.json()["by_hand"]
    written = read_metadata(colours.path).calibration
    assert written is not None
    assert written.by_hand
    assert not written.saw_masks
    green = written.classes["green"]
    assert (green.level, green.min_area, green.gate) == (0.5, 40, 4)
    assert written.classes["red stain"].level == 0.3
    assert only(client.post("/segment", files=sent(picture(GREEN))))["status"] == "clean"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('{"blue": {"level": 1}}', "no class blue"),
        ('{"gr\\ud800n": {"level": 1}}', "no class gr"),
        ('{"green": {"level": 0}}', "green.level: Input should be greater than 0"),
        ('{"green": {"level": NaN}}', "green.level: Input should be a finite number"),
        ('{"green": {"level": 1e999}}', "green.level: Input should be a finite number"),
        ('{"green": {"level": "\\ud800"}}', "green.level"),
        ('{"green": {"level": 1, "min_area": 1e30}}', "green.min_area"),
        ("[]", "body: Input should be a valid dictionary"),
        ('{"green"', "not JSON"),
    ],
)
def test_thresholds_that_make_no_sense_are_not_saved(
    client: httpx.Client, colours: Run, body: str, reason: str
) -> None:
    before = (colours.path / "relmask.json").read_bytes()
    answer = client.put("/thresholds", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert reason in answer.json()["detail"]
    assert (colours.path / "relmask.json").read_bytes() == before


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_run_that_cannot_be_written_says_so(
    client: httpx.Client, colours: Run, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "replace", refuse)
    answer = client.put("/thresholds", json={"green": {"level": 1}})
    assert answer.status_code == 507
    told = answer.json()["detail"]
    assert told.startswith(f"The thresholds are not saved: {colours.path} cannot be written ")
    assert os.strerror(number) in told
    assert client.get("/run").json()["classes"][1]["thresholds"]["level"] == 0.3


def test_a_run_that_another_program_changed_is_not_overwritten(client: httpx.Client, colours: Run) -> None:
    save_metadata(colours.path, colours.metadata.model_copy(update={"command": "relmask calibrate"}))
    written = (colours.path / "relmask.json").read_bytes()
    answer = client.put("/thresholds", json={"green": {"level": 1}})
    assert answer.status_code == 409
    assert "another program changed" in answer.json()["detail"]
    assert (colours.path / "relmask.json").read_bytes() == written


def test_a_run_that_is_gone_is_not_half_written(client: httpx.Client, colours: Run) -> None:
    shutil.rmtree(colours.path)
    assert client.put("/thresholds", json={"green": {"level": 1}}).status_code == 409
    assert not colours.path.exists()


def test_thresholds_that_are_saved_at_once_are_all_kept(client: httpx.Client, colours: Run) -> None:
    for number in range(1, 6):
        chosen = [{name: {"level": number / 10, "min_area": number}} for name in CLASSES]
        with ThreadPoolExecutor(2) as two:
            answers = list(two.map(lambda one: client.put("/thresholds", json=one), chosen))
        assert [answer.status_code for answer in answers] == [200, 200]
        written = read_metadata(colours.path).calibration
        assert written is not None
        assert [of.min_area for of in written.classes.values()] == [number, number]


def test_thresholds_that_did_not_move_are_not_called_moved_by_hand(client: httpx.Client) -> None:
    assert not client.put("/thresholds", json={"green": {"level": 0.3}}).json()["by_hand"]
    assert client.put("/thresholds", json={"green": {"level": 0.4}}).json()["by_hand"]
