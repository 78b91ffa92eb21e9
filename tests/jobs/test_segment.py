import csv
import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from relmask.errors import OutError, UsageError
from relmask.jobs import segment_files
from relmask.jobs.segment import Outcome
from tests.jobs.fakes import FakeRun, picture


def table(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def size_of(mask: Path) -> tuple[int, int]:
    with Image.open(mask) as picture:
        return picture.size


def snapshot(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_every_picture_has_a_mask_of_its_size_and_a_line(run: FakeRun, tmp_path: Path) -> None:
    picture(tmp_path / "in/a/pit.jpg", pit=True, size=(20, 10))
    picture(tmp_path / "in/clean.png")
    outcome = segment_files(run, [tmp_path / "in"], tmp_path / "out")
    assert (outcome.images, outcome.defect, outcome.clean, outcome.complete) == (2, 1, 1, True)
    mask = Image.open(tmp_path / "out/masks/a/pit.png")
    assert (mask.mode, mask.size) == ("P", (20, 10))
    assert np.bincount(np.asarray(mask).ravel()).tolist() == [150, 50]
    assert not np.asarray(Image.open(tmp_path / "out/masks/clean.png")).any()
    pit, clean = table(tmp_path / "out")
    assert pit == {
        "file": str(tmp_path / "in/a/pit.jpg"),
        "status": "defect",
        "label": "pit",
        "score": "1",
        "area": "50",
        "components": "1",
        "mask": "masks/a/pit.png",
        "error": "",
        "image_novelty": "",
        "warning": "",
        "explained": "",
        "score_pit": "0.25",
        "score_scratch": "0",
    }
    assert (clean["status"], clean["label"], clean["area"]) == ("clean", "", "0")


def test_a_mask_has_the_size_that_exif_orientation_gives(run: FakeRun, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    (tmp_path / "in").mkdir()
    Image.new("L", (30, 20)).save(tmp_path / "in/turned.jpg", exif=exif)
    segment_files(run, [tmp_path / "in"], tmp_path / "out")
    assert size_of(tmp_path / "out/masks/turned.png") == (20, 30)


def test_a_broken_picture_is_listed_and_the_rest_done(run: FakeRun, tmp_path: Path) -> None:
    picture(tmp_path / "in/a.png")
    whole = picture(tmp_path / "in/b.png", size=(300, 300)).read_bytes()
    (tmp_path / "in/b.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "in/c.jpg").touch()
    picture(tmp_path / "in/d.png", pit=True)
    outcome = segment_files(run, [tmp_path / "in"], tmp_path / "out", batch_size=2)
    assert [Path(file).name for file, _ in outcome.failed] == ["b.png", "c.jpg"]
    assert not outcome.complete
    rows = table(tmp_path / "out")
    assert [row["status"] for row in rows] == ["clean", "failed", "failed", "defect"]
    assert rows[1]["error"]
    assert "b.png" not in rows[1]["error"]
    assert rows[1]["mask"] == rows[1]["score"] == rows[1]["score_pit"] == ""


def test_a_picture_that_was_mended_is_done_again(run: FakeRun, tmp_path: Path) -> None:
    picture(tmp_path / "in/a.png")
    (tmp_path / "in/b.png").touch()
    segment_files(run, [tmp_path / "in"], tmp_path / "out")
    picture(tmp_path / "in/b.png", pit=True)
    outcome = segment_files(run, [tmp_path / "in"], tmp_path / "out")
    assert (outcome.complete, outcome.resumed) == (True, 1)
    assert run.segmenter.seen == 3, "a.png is segmented again for the page alone"
    assert [row["status"] for row in table(tmp_path / "out")] == ["clean", "defect"]


def test_a_picture_that_changed_is_done_again(run: FakeRun, tmp_path: Path) -> None:
    changed = picture(tmp_path / "in/a.png", pit=True)
    segment_files(run, [tmp_path / "in"], tmp_path / "out", relevance=True)
    assert (tmp_path / "out/relevance/a.tiff").exists()
    picture(changed, size=(9, 9))
    segment_files(run, [tmp_path / "in"], tmp_path / "out", relevance=True)
    assert size_of(tmp_path / "out/masks/a.png") == (9, 9)
    assert not (tmp_path / "out/relevance/a.tiff").exists()


def test_a_picture_that_another_one_gives_a_new_name_has_one_mask(run: FakeRun, tmp_path: Path) -> None:
    picture(tmp_path / "in/a.jpg", pit=True)
    segment_files(run, [tmp_path / "in"], tmp_path / "out")
    picture(tmp_path / "in/a.png")
    segment_files(run, [tmp_path / "in"], tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out/masks").glob("*.png")) == ["a.jpg.png", "a.png.png"]


def test_a_mask_that_was_lost_is_made_again(run: FakeRun, tmp_path: Path) -> None:
    picture(tmp_path / "in/a.png")
    picture(tmp_path / "in/b.png")
    segment_files(run, [tmp_path / "in"], tmp_path / "out")
    (tmp_path / "out/masks/b.png").unlink()
    assert segment_files(run, [tmp_path / "in"], tmp_path / "out").resumed == 1
    assert (tmp_path / "out/masks/b.png").exists()


def test_a_picture_moved_away_meanwhile_keeps_its_line(run: FakeRun, tmp_path: Path) -> None:
    moved = picture(tmp_path / "in/a.png", pit=True)
    run.segmenter.before = lambda seen: moved.unlink()
    segment_files(run, [tmp_path / "in"], tmp_path / "out")
    assert [row["status"] for row in table(tmp_path / "out")] == ["defect"]


def test_relevance_is_kept_in_full_precision_where_there_is_a_defect(run: FakeRun, tmp_path: Path) -> None:
    picture(tmp_path / "in/pit.png", pit=True)
    picture(tmp_path / "in/clean.png")
    segment_files(run, [tmp_path / "in"], tmp_path / "out", relevance=True)
    values = tifffile.imread(tmp_path / "out/relevance/pit.tiff")
    assert values.dtype == np.float32
    assert set(np.unique(values)) == {np.float32(0), np.float32(180) / np.float32(255)}
    assert not (tmp_path / "out/relevance/clean.tiff").exists()


@pytest.mark.parametrize("stop", [KeyboardInterrupt, MemoryError])
def test_a_stopped_job_goes_on_and_ends_with_the_same_bytes(
    run: FakeRun, tmp_path: Path, stop: type[BaseException]
) -> None:
    for index in range(9):
        picture(tmp_path / f"in/{index}.png", pit=index % 3 == 0)

    def stop_at_six(seen: int) -> None:
        if seen == 6:
            raise stop

    segment_files(run, [tmp_path / "in"], tmp_path / "straight", batch_size=2)
    run.segmenter.seen = 0
    run.segmenter.before = stop_at_six
    with pytest.raises(stop):
        segment_files(run, [tmp_path / "in"], tmp_path / "out", batch_size=2)
    assert (tmp_path / "out/results.csv").exists() == (stop is KeyboardInterrupt)
    with (tmp_path / "out/.segment.jsonl").open("ab") as journal:
        journal.write(b'{"stamp": [1, 2], "row": {"fi')  # what a kill may leave
    run.segmenter.before = lambda seen: None
    outcome = segment_files(run, [tmp_path / "in"], tmp_path / "out", batch_size=2)
    assert (outcome.resumed, outcome.images) == (6, 9)
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "straight")


def test_other_settings_are_refused_until_overwritten(run: FakeRun, tmp_path: Path) -> None:
    picture(tmp_path / "in/old.png", pit=True)
    segment_files(run, [tmp_path / "in"], tmp_path / "out")
    with pytest.raises(OutError, match=r"(?s)relevance: False, now True.*--overwrite"):
        segment_files(run, [tmp_path / "in"], tmp_path / "out", relevance=True)
    (tmp_path / "in/old.png").rename(tmp_path / "in/new.png")
    segment_files(run, [tmp_path / "in"], tmp_path / "out", relevance=True, overwrite=True)
    assert {path.name for path in (tmp_path / "out/masks").glob("*.png")} == {"new.png"}


def test_a_run_is_no_place_for_the_masks_that_it_makes(run: FakeRun, tmp_path: Path) -> None:
    picture(tmp_path / "in/a.png")
    (run.path / "report.html").write_text("what the run learned")
    with pytest.raises(OutError, match=r"holds report\.html, which this command did not write"):
        segment_files(run, [tmp_path / "in"], run.path)
    assert (run.path / "report.html").read_text() == "what the run learned"


def test_inputs_may_be_given_in_another_way_when_a_job_goes_on(
    run: FakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(tmp_path / "in/a.png", pit=True)
    segment_files(run, [tmp_path / "in"], tmp_path / "out")
    picture(tmp_path / "in/b.png")
    monkeypatch.chdir(tmp_path)
    for given in ("in", "./in/", "out/../in"):
        outcome = segment_files(run, [given], "out")
        assert outcome.resumed in (1, 2)
        assert [row["file"] for row in table(tmp_path / "out")] == [
            f"{Path(given)}/a.png",
            f"{Path(given)}/b.png",
        ]
    assert run.segmenter.seen == 3, "a.png is segmented again for the page alone"
    monkeypatch.chdir(tmp_path / "in")
    with pytest.raises(OutError, match="other settings"):
        segment_files(run, ["."], "../out", relevance=True)


def test_a_name_that_is_too_long_fails_alone(run: FakeRun, tmp_path: Path) -> None:
    for name in ("a.png", f"{'x' * 250}.jpg", f"{'x' * 250}.png", f"{'y' * 251}.png"):
        picture(tmp_path / "in" / name, pit=True)
    outcome = segment_files(run, [tmp_path / "in"], tmp_path / "out", relevance=True)
    assert [Path(file).name[0] for file, _ in outcome.failed] == ["x", "x", "y"]
    assert all("the name is too long" in reason for _, reason in outcome.failed)
    assert [row["status"] for row in table(tmp_path / "out")] == ["defect", "failed", "failed", "failed"]
    assert {path.name for path in (tmp_path / "out").rglob("*.*") if path.parent.name == "masks"} == {
        "a.png",
        "classes.csv",
    }, "no mask without its relevance map"


def test_a_folder_in_the_place_of_a_mask_fails_one_picture(run: FakeRun, tmp_path: Path) -> None:
    picture(tmp_path / "in/a.png/b.jpg")
    picture(tmp_path / "in/a.jpg")
    outcome = segment_files(run, [tmp_path / "in"], tmp_path / "out")
    assert len(outcome.failed) == 1
    assert "in the way" in outcome.failed[0][1]


def test_another_run_is_another_setting(run: FakeRun, tmp_path: Path) -> None:
    picture(tmp_path / "in/a.png")
    segment_files(run, [tmp_path / "in"], tmp_path / "out")
    (run.path / "relmask.json").write_text('{"calibration": "new"}')
    with pytest.raises(OutError, match="run: "):
        segment_files(run, [tmp_path / "in"], tmp_path / "out")


def test_masks_of_others_are_not_overwritten(run: FakeRun, tmp_path: Path) -> None:
    picture(tmp_path / "in/a.png")
    theirs = picture(tmp_path / "out/masks/a.png").read_bytes()
    for overwrite in (False, True):
        with pytest.raises(OutError, match="did not write"):
            segment_files(run, [tmp_path / "in"], tmp_path / "out", overwrite=overwrite)
    assert (tmp_path / "out/masks/a.png").read_bytes() == theirs


def test_an_unknown_format_is_refused_before_any_work(run: FakeRun, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There are: png"):
        segment_files(run, [tmp_path / "absent"], tmp_path / "out", formats=["gimp"])


def test_out_may_hold_the_inputs(run: FakeRun, tmp_path: Path) -> None:
    picture(tmp_path / "all/data/a.png")
    first = segment_files(run, [tmp_path / "all"], tmp_path / "all")
    again = segment_files(run, [tmp_path / "all"], tmp_path / "all")
    assert (first.images, again.images, again.resumed) == (1, 1, 1)


def test_progress_begins_with_what_was_done_and_ends_with_all(run: FakeRun, tmp_path: Path) -> None:
    for index in range(5):
        picture(tmp_path / f"in/{index}.png")
    steps: list[tuple[int, int]] = []

    def note(task: str, done: int, total: int, note: str = "") -> None:
        steps.append((done, total))

    segment_files(run, [tmp_path / "in"], tmp_path / "out", batch_size=2, progress=note)
    assert steps == [(0, 5), (2, 5), (4, 5), (5, 5)]
    segment_files(run, [tmp_path / "in"], tmp_path / "out", batch_size=2, progress=note)
    assert steps[4:] == [(5, 5)]


def test_odd_file_names_survive(run: FakeRun, tmp_path: Path) -> None:
    for name in ("ein Teil, groß.png", 'quote".png', "new\nline.png", os.fsdecode(b"latin\xe9.png")):
        picture(tmp_path / "in" / name)
    outcome = segment_files(run, [tmp_path / "in"], tmp_path / "out")
    assert outcome.complete
    assert len(table(tmp_path / "out")) == len(list((tmp_path / "out/masks").glob("*.png"))) == 4
    assert segment_files(run, [tmp_path / "in"], tmp_path / "out").resumed == 4


def test_pictures_are_read_while_the_network_works(run: FakeRun, tmp_path: Path) -> None:
    for index in range(4):
        picture(tmp_path / f"in/{index}.png")
    readers = {thread.name for thread in threading.enumerate()}

    def look(seen: int) -> None:
        readers.update(thread.name for thread in threading.enumerate())

    run.segmenter.before = look
    segment_files(run, [tmp_path / "in"], tmp_path / "out", batch_size=1)
    assert any(name.startswith("reader") for name in readers)


def test_settings_are_told(run: FakeRun, tmp_path: Path) -> None:
    picture(tmp_path / "in/a.png")
    segment_files(run, [str(tmp_path / "in")], tmp_path / "out")
    settings = json.loads((tmp_path / "out/segment.json").read_text())
    assert settings["inputs"] == [str(tmp_path / "in")]
    assert len(settings["run"]) == 64


def test_outcome_reads_as_a_summary() -> None:
    outcome = Outcome(Path("out"), 5, 1, 2, (("b.png", "damaged"), ("c.png", "empty")), 3, 1.0)
    assert str(outcome) == "5 pictures: 1 defect, 2 clean, 2 failed\n3 were done before\nResults in out"
