import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from relmask.data.survey import survey
from relmask.errors import DataError
from tests.data.pictures import picture
from tests.data.test_duplicates import scene


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three classes; a scene of train again in test, under another group; two broken files; two masks."""
    rows = []
    for number, (label, group, split, look) in enumerate(
        [
            ("ok", "a", "train", 0),
            ("ok", "b", "val", 1),
            ("ok", "c", "test", 2),
            ("pit", "d", "train", 3),
            ("pit", "d", "train", 3),
            ("pit", "e", "test", 3),
            ("crack", "f", "train", 4),
        ]
    ):
        Image.fromarray(scene(look, 64)).save(tmp_path / f"{number}.png")
        mask = f"m{number}.png" if label == "pit" else ""
        rows.append(f"{number}.png,{label},{group},{split},{mask}")
    picture(tmp_path / "m3.png", 255, (64, 64))
    (tmp_path / "m5.png").write_bytes(b"never opened")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("hello")
    rows += ["empty.png,ok,g,train,", "text.png,pit,h,train,"]
    (tmp_path / "index.csv").write_text("\n".join(["image,label,group,split,mask", *rows]))
    return tmp_path


def test_everything_is_counted(data: Path) -> None:
    found = survey(data)
    assert (found.images, found.groups, found.clean, found.drawn) == (9, 8, "ok", False)
    assert found.splits == {"train": 6, "val": 1, "test": 2}
    assert [(c.label, c.images, c.groups) for c in found.classes] == [
        ("ok", 4, 4),
        ("crack", 1, 1),
        ("pit", 4, 3),
    ]
    assert found.classes[2].splits == {"train": 3, "test": 1}
    assert found.classes[2].groups_in_splits == {"train": 2, "test": 1}
    assert (found.with_masks, found.without_masks) == (2, 3)
    assert found.sizes == {"64x64": 7}
    assert found.kinds == {"8-bit grey": 7}


def test_broken_files_are_named_with_their_reasons(data: Path) -> None:
    broken = survey(data).broken
    assert list(broken) == ["empty.png", "text.png"]
    assert all(reason.startswith("is no picture") for reason in broken.values())


def test_the_same_scene_in_two_splits_is_found(data: Path) -> None:
    pairs = survey(data).look_alikes
    assert {(pair.first, pair.second, pair.splits) for pair in pairs} == {
        ("3.png", "5.png", ("train", "test")),
        ("4.png", "5.png", ("train", "test")),
    }


def test_what_cannot_be_promised_is_warned_of(data: Path) -> None:
    warnings = "\n".join(survey(data).warnings)
    assert "crack has 1 group; none in val" in warnings
    assert "none in test: nothing can be said about it" in warnings
    assert "pit has 3 groups; none in val" in warnings
    assert "2 pairs of pictures in different splits look the same" in warnings


def test_what_is_left_out_or_missing_is_warned_of(data: Path, tmp_path: Path) -> None:
    (tmp_path / "m5.png").unlink()
    (said,) = [line for line in survey(data).warnings if "not there" in line]
    assert "m5.png: no such file (mask of 5.png)" in said
    folders = tmp_path / "folders"
    picture(folders / "ok" / "1.png")
    picture(folders / "pit" / "2.png")
    (folders / "dent").mkdir()
    assert any("dent: empty" in line for line in survey(folders).warnings)


def test_a_survey_is_plain_json(data: Path) -> None:
    text = json.loads(json.dumps(survey(data).as_dict(), allow_nan=False))
    assert text["classes"][0]["label"] == "ok"
    assert text["look_alikes"][0]["splits"] == ["train", "test"]


def test_a_data_set_that_cannot_be_split_is_still_surveyed(tmp_path: Path) -> None:
    picture(tmp_path / "pit" / "1.png")
    found = survey(tmp_path)
    assert found.images == 1
    assert found.splits == {}
    assert any("relmask patches" in warning for warning in found.warnings)


def test_splits_are_drawn_where_none_are_stated(tmp_path: Path) -> None:
    for label in ("ok", "pit"):
        for number in range(8):
            picture(tmp_path / label / f"{number}.png", number * 20)
    found = survey(tmp_path)
    assert found.drawn
    assert sum(found.splits.values()) == 16
    assert not found.look_alikes
    assert any("No groups are known" in warning for warning in found.warnings)


def test_progress_is_told_for_every_picture(data: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    survey(data, progress=lambda task, done, total, note="": steps.append((task, done, total)))
    assert steps == [("reading", done, 9) for done in range(1, 10)]


def test_nothing_to_survey_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No pictures"):
        survey(tmp_path)


def test_depths_and_colours_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "ok").mkdir()
    Image.fromarray(np.zeros((4, 6), np.uint16)).save(tmp_path / "ok" / "deep.png")
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(tmp_path / "ok" / "colour.png")
    assert survey(tmp_path).kinds == {"16-bit grey": 1, "8-bit colour": 1}


def test_tiles_that_real_groups_keep_apart_by_mistake_are_found(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "magnetic-tile"
    head, *lines = (source / "index.csv").read_text().splitlines()
    cracks = [
        line.replace("images/", f"{source}/images/") for line in lines if line.startswith("images/crack/")
    ]
    (tmp_path / "cracks.csv").write_text("\n".join([head, *cracks]))
    found = survey(tmp_path / "cracks.csv")
    groups = {(pair.first.rpartition("_")[2], pair.second.rpartition("_")[2]) for pair in found.look_alikes}
    assert ("86031.jpg", "88170.jpg") in groups
    assert all(set(pair.splits) == {"train", "val"} for pair in found.look_alikes)
