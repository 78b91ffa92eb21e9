import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from relmask.errors import DataError, OutError, UsageError
from relmask.formats import FORMATS, read
from relmask.jobs import convert_files, segment_files
from relmask.jobs.segment import Outcome
from tests.jobs.fakes import FakeRun, picture

OTHERS = [name for name in FORMATS if name != "png"]


def segmented(run: FakeRun, tmp_path: Path, *formats: str, **options: object) -> Outcome:
    if not (tmp_path / "in").exists():
        picture(tmp_path / "in/a/pit.jpg", pit=True, size=(20, 10))
        picture(tmp_path / "in/clean.png")
        picture(tmp_path / "in/ein Teil, groß.png", pit=True)
    return segment_files(run, [tmp_path / "in"], tmp_path / "out", formats=formats, **options)  # type: ignore[arg-type]


def assert_same_masks(one: Path, other: Path, images: Path) -> None:
    assert len(list(images.rglob("*.*"))) == 3
    for file in images.rglob("*.*"):
        name = file.relative_to(images).with_suffix(".png")
        np.testing.assert_array_equal(Image.open(one / name), Image.open(other / name))


def test_segment_writes_every_format_and_each_reads_the_same(run: FakeRun, tmp_path: Path) -> None:
    outcome = segmented(run, tmp_path, "png", *OTHERS)
    assert outcome.complete
    for name in OTHERS:
        back = convert_files(tmp_path / "out" / name, ["png"], tmp_path / name, images=tmp_path / "in")
        assert (back.pictures, back.failed) == (3, ())
        assert_same_masks(tmp_path / name / "masks", tmp_path / "out/masks", tmp_path / "in")
    assert not [path for path in (tmp_path / "out").iterdir() if ".part" in path.name or ".old" in path.name]


def test_what_segment_wrote_converts_with_its_scores(run: FakeRun, tmp_path: Path) -> None:
    segmented(run, tmp_path, "label-studio")
    converted = convert_files(tmp_path / "out", ["label-studio", "coco"], tmp_path / "more")
    assert converted.classes == ("pit", "scratch")
    tasks = "label-studio/tasks.json"
    assert (tmp_path / "more" / tasks).read_bytes() == (tmp_path / "out" / tasks).read_bytes()
    scores = {picture.image: picture.score for picture in read(tmp_path / "more/coco").pictures}
    assert scores == {"a/pit.jpg": 1.0, "clean.png": 0.0, "ein Teil, groß.png": 1.0}
    assert "2 pictures" not in str(converted)
    assert str(converted).startswith("3 masks as label-studio, coco, 0 failed")


def test_tasks_name_the_pictures_below_the_image_root(run: FakeRun, tmp_path: Path) -> None:
    segmented(run, tmp_path, "label-studio", image_root="/data/local-files/?d=parts")
    tasks = json.loads((tmp_path / "out/label-studio/tasks.json").read_text())
    assert [task["data"]["image"].removeprefix("/data/local-files/?d=parts/") for task in tasks] == [
        "a/pit.jpg",
        "clean.png",
        "ein%20Teil%2C%20gro%C3%9F.png",
    ]


def test_a_picture_that_failed_is_left_out(run: FakeRun, tmp_path: Path) -> None:
    picture(tmp_path / "in/a.png", pit=True)
    (tmp_path / "in/b.png").touch()
    outcome = segmented(run, tmp_path, "coco")
    assert len(outcome.failed) == 1
    assert [p.image for p in read(tmp_path / "out/coco").pictures] == ["a.png"]


def test_a_stopped_job_writes_the_formats_when_it_is_gone_on_with(run: FakeRun, tmp_path: Path) -> None:
    def stop(seen: int) -> None:
        if seen == 1:
            raise KeyboardInterrupt

    run.segmenter.before = stop
    with pytest.raises(KeyboardInterrupt):
        segmented(run, tmp_path, "coco", "yolo", batch_size=1)
    assert not (tmp_path / "out/coco").exists()
    run.segmenter.before = lambda seen: None
    assert segmented(run, tmp_path, "coco", "yolo", batch_size=1).resumed == 1
    assert len(read(tmp_path / "out/coco").pictures) == len(read(tmp_path / "out/yolo").pictures) == 3


def test_what_is_new_or_gone_is_so_in_every_format(run: FakeRun, tmp_path: Path) -> None:
    segmented(run, tmp_path, *OTHERS)
    (tmp_path / "in/clean.png").rename(tmp_path / "in/other.png")
    segmented(run, tmp_path, *OTHERS)
    for name in OTHERS:
        names = {Path(p.image).name.split(".")[0] for p in read(tmp_path / "out" / name).pictures}
        assert names == {"pit", "other", "ein Teil, groß"}


@pytest.mark.parametrize("name", OTHERS)
def test_what_a_person_changed_or_added_is_not_overwritten(run: FakeRun, tmp_path: Path, name: str) -> None:
    segmented(run, tmp_path, name)
    theirs = next(
        path
        for path in sorted((tmp_path / "out" / name).rglob("*.*"))
        if path.suffix != ".txt" or "y" in name
    )
    theirs.write_text("corrected")
    with pytest.raises(OutError, match="did not write, or that were changed"):
        segmented(run, tmp_path, name)
    with pytest.raises(OutError, match="did not write, or that were changed"):
        convert_files(tmp_path / "out", [name], tmp_path / "out")
    assert theirs.read_text() == "corrected"
    segmented(run, tmp_path, name, overwrite=True)
    assert len(read(tmp_path / "out" / name).pictures) == 3


def test_pictures_beside_labels_are_not_deleted(run: FakeRun, tmp_path: Path) -> None:
    segmented(run, tmp_path, "yolo")
    mine = picture(tmp_path / "out/yolo/images/clean.png")
    with pytest.raises(OutError, match=r"images/clean\.png"):
        segmented(run, tmp_path, "yolo")
    assert mine.exists()


def test_masks_that_segment_wrote_are_not_replaced(run: FakeRun, tmp_path: Path) -> None:
    segmented(run, tmp_path, "coco")
    before = (tmp_path / "out/masks/clean.png").read_bytes()
    for overwrite in (False, True):
        with pytest.raises(OutError, match="out/masks holds files that this command did not write"):
            convert_files(tmp_path / "out/coco", ["png"], tmp_path / "out", overwrite=overwrite)
    assert (tmp_path / "out/masks/clean.png").read_bytes() == before


def test_other_masks_are_refused_until_overwritten(run: FakeRun, tmp_path: Path) -> None:
    segmented(run, tmp_path, "coco")
    convert_files(tmp_path / "out", ["voc"], tmp_path / "more")
    (tmp_path / "out/masks/clean.png").unlink()
    with pytest.raises(OutError, match=r"(?s)voc holds masks of other settings.*masks: .*--overwrite"):
        convert_files(tmp_path / "out/coco", ["voc"], tmp_path / "more")
    convert_files(tmp_path / "out/coco", ["voc"], tmp_path / "more", overwrite=True)
    assert convert_files(tmp_path / "out/coco", ["voc"], tmp_path / "more").failed == ()


def test_what_a_person_added_stays_where_masks_are_overwritten(run: FakeRun, tmp_path: Path) -> None:
    segmented(run, tmp_path, "yolo")
    mine = picture(tmp_path / "out/yolo/images/mine.png").read_bytes()
    segmented(run, tmp_path, "yolo", overwrite=True)
    assert (tmp_path / "out/yolo/images/mine.png").read_bytes() == mine


def test_a_folder_of_somebody_else_is_never_replaced(run: FakeRun, tmp_path: Path) -> None:
    theirs = picture(tmp_path / "out/coco/a.png").read_bytes()
    for overwrite in (False, True):
        with pytest.raises(OutError, match="leaves alone"):
            segmented(run, tmp_path, "coco", overwrite=overwrite)
        assert run.segmenter.seen == 0, "refused before any work"
    assert (tmp_path / "out/coco/a.png").read_bytes() == theirs


def test_formats_do_not_become_inputs(run: FakeRun, tmp_path: Path) -> None:
    picture(tmp_path / "a.png", pit=True)
    for _ in range(2):
        outcome = segment_files(run, [tmp_path], tmp_path, formats=["voc"])
        assert outcome.images == 1


def test_pictures_give_names_and_sizes(run: FakeRun, tmp_path: Path) -> None:
    segmented(run, tmp_path, "yolo")
    without = convert_files(tmp_path / "out/yolo", ["coco"], tmp_path / "without")
    assert [picture for picture, _ in without.failed] == ["a/pit", "clean", "ein Teil, groß"]
    assert "--images" in without.failed[0][1]
    convert_files(tmp_path / "out/yolo", ["coco", "labelme"], tmp_path / "with", images=tmp_path / "in")
    found = read(tmp_path / "with/coco").pictures
    assert [picture.image for picture in found] == ["a/pit.jpg", "clean.png", "ein Teil, groß.png"]
    content = json.loads((tmp_path / "with/labelme/a/pit.json").read_text())
    assert content["imagePath"] == "../../../in/a/pit.jpg"


def test_a_folder_of_masks_needs_names_of_classes(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    Image.fromarray(np.eye(4, dtype=np.uint8) * 2).save(tmp_path / "masks/a.png")
    with pytest.raises(DataError, match="--classes"):
        convert_files(tmp_path / "masks", ["coco"], tmp_path / "out")
    converted = convert_files(tmp_path / "masks", ["coco"], tmp_path / "out", classes=["pit", "dent"])
    assert converted.classes == ("pit", "dent")
    assert read(tmp_path / "out/coco").pictures[0].labels == frozenset({"dent"})
    failed = convert_files(tmp_path / "masks", ["cvat"], tmp_path / "out", classes=["pit"]).failed
    assert failed[0][0] == "a"
    assert "value 2" in failed[0][1]


def test_nothing_is_written_where_the_request_is_wrong(run: FakeRun, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No format gimp"):
        convert_files(tmp_path, ["gimp"], tmp_path / "more")
    with pytest.raises(DataError, match="does not exist"):
        convert_files(tmp_path / "absent", ["coco"], tmp_path / "more")
    segmented(run, tmp_path, "png")
    with pytest.raises(DataError, match="No pictures in"):
        convert_files(tmp_path / "out", ["coco"], tmp_path / "more", images=tmp_path / "run")
    (tmp_path / "file").touch()
    with pytest.raises(OutError, match="Cannot write"):
        convert_files(tmp_path / "out", ["coco"], tmp_path / "file")
    assert not (tmp_path / "more").exists()


def test_progress_is_told(run: FakeRun, tmp_path: Path) -> None:
    segmented(run, tmp_path, "png")
    steps: list[tuple[str, int, int]] = []

    def note(task: str, done: int, total: int, note: str = "") -> None:
        steps.append((task, done, total))

    convert_files(tmp_path / "out", ["coco", "cvat"], tmp_path / "out", progress=note)
    assert steps == [("export", 1, 3), ("export", 2, 3), ("export", 3, 3)]


SQUARE = [2, 2, 6, 2, 6, 6, 2, 6]


def coco(path: Path, *names: str, size: tuple[int, int] = (10, 20), **more: object) -> Path:
    """A file with a square of `pit` in each picture of this height and width."""
    told = {"width": size[1], "height": size[0]}
    content = {
        "images": [{"id": k, "file_name": name, **told} for k, name in enumerate(names)],
        "categories": [{"id": 0, "name": "pit"}],
        "annotations": [
            {"image_id": k, "category_id": 0, "segmentation": [SQUARE]} for k in range(len(names))
        ],
    }
    path.write_text(json.dumps({**content, **more}))
    return path


def test_an_annotation_of_another_size_than_its_picture_fails(tmp_path: Path) -> None:
    picture(tmp_path / "in/a.png", size=(20, 10))
    picture(tmp_path / "in/b.png", size=(10, 20))
    masks = coco(tmp_path / "a.json", "a.png", "b.png", size=(10, 20))
    converted = convert_files(masks, ["png"], tmp_path / "out", images=tmp_path / "in")
    assert [name for name, _ in converted.failed] == ["b.png"]
    assert "annotated at 20x10 pixels, but has 10x20" in converted.failed[0][1]
    assert [path.name for path in (tmp_path / "out/masks").glob("*.png")] == ["a.png"]


def test_names_that_meet_no_picture_are_told(tmp_path: Path) -> None:
    picture(tmp_path / "in/a.png", size=(20, 10))
    masks = coco(tmp_path / "a.json", "a.png", "A-17")
    with pytest.warns(UserWarning, match=r"^1 of 2 annotated pictures are not in .*in:\n  A-17$"):
        convert_files(masks, ["png"], tmp_path / "out", images=tmp_path / "in")
    with pytest.raises(DataError, match=r"the names differ, such as A-17 and a\.png"):
        convert_files(coco(tmp_path / "a.json", "A-17"), ["png"], tmp_path / "no", images=tmp_path / "in")
    assert not (tmp_path / "no").exists()


def test_what_has_no_area_is_counted(tmp_path: Path) -> None:
    masks = coco(tmp_path / "a.json", "a.png")
    content = json.loads(masks.read_text())
    content["annotations"].append({"image_id": 0, "category_id": 0, "bbox": [1, 1, 2, 2]})
    masks.write_text(json.dumps(content))
    with pytest.warns(UserWarning, match=r"Left out of .*a\.json: boxes without a mask \(1\)\."):
        converted = convert_files(masks, ["png"], tmp_path / "out")
    assert converted.left_out == {"boxes without a mask": 1}


@pytest.mark.parametrize("name", ["../../a.png", "/a.png", "C:\\parts\\a.png", "x\0/a.png", "", ".."])
def test_masks_are_written_below_out_whatever_pictures_are_called(tmp_path: Path, name: str) -> None:
    masks = coco(tmp_path / "a.json", name or "https://", "b.png")
    converted = convert_files(masks, list(FORMATS), tmp_path / "x/out")
    assert converted.failed == ()
    assert len(list((tmp_path / "x/out/masks").rglob("*.png"))) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", "x"}
    assert {path.name for path in (tmp_path / "x").iterdir()} == {"out"}


def test_a_picture_that_is_annotated_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there twice \(1\):\n  a\.png"):
        convert_files(coco(tmp_path / "a.json", "a.png", "/a.png"), ["png"], tmp_path / "out")


def test_more_classes_than_a_mask_holds_are_refused(tmp_path: Path) -> None:
    categories = [{"id": k, "name": f"class {k}"} for k in range(256)]
    with pytest.raises(DataError, match="256 classes, and a mask at most 255"):
        convert_files(coco(tmp_path / "a.json", "a.png", categories=categories), ["png"], tmp_path / "out")
