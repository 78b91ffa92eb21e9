"""What holds for every format."""

import dataclasses
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import example, given, settings
from PIL import Image

from relmask.errors import DataError, ImageError, OutError, UsageError
from relmask.files import printable
from relmask.formats import FORMATS, Annotation, Annotations, Picture, distinct, find_formats, format_of, read
from relmask.formats.annotation import BACKGROUND, Region, parts
from relmask.formats.matching import match
from tests.formats.masks import CLASSES, RING, Mask, masks, picture

every_format = pytest.mark.parametrize("name", FORMATS)


def written(name: str, folder: Path, *pictures: Picture, classes: tuple[str, ...] = CLASSES) -> Annotations:
    """The pictures, written and read again."""
    with FORMATS[name].writing(folder, classes, "") as write:
        for one in pictures:
            write(one)
    assert format_of(folder) == name
    return read(folder)


@every_format
@given(mask=masks)
@example(mask=RING)
@example(mask=np.zeros((3, 2), np.uint8))
@example(mask=np.full((1, 1), 3, np.uint8))
@settings(max_examples=30)
def test_a_mask_comes_back_exactly(name: str, mask: Mask) -> None:
    with TemporaryDirectory() as folder:
        annotations = written(name, Path(folder), picture(mask))
        (found,) = annotations.pictures
        np.testing.assert_array_equal(found.draw(CLASSES, mask.shape), mask)
        assert match([found.image], ["ein Teil/ä, 1.png"]) == {"ein Teil/ä, 1.png": 0}
        if name != "yolo":
            np.testing.assert_array_equal(found.draw(CLASSES), mask)
        if name not in ("labelme", "label-studio"):  # which say only what is drawn
            assert annotations.classes == CLASSES


@pytest.mark.parametrize("name", ["coco", "labelme", "label-studio", "cvat"])
def test_scores_come_back(tmp_path: Path, name: str) -> None:
    (found,) = written(name, tmp_path, picture(RING)).pictures
    assert found.scores == {"blow hole": {"cvat": 0.12}.get(name, 0.125), "Ölfleck": 0.75}
    assert found.score == {"cvat": None}.get(name, 0.25)


@every_format
def test_pictures_without_defects_are_there(tmp_path: Path, name: str) -> None:
    clean = np.zeros((4, 6), np.uint8)
    found = written(name, tmp_path, picture(clean, "a.png"), picture(clean, "b/c.png"))
    assert [len(found.pictures), *{bool(p.draw(CLASSES, (4, 6)).any()) for p in found.pictures}] == [2, False]


@every_format
def test_names_of_classes_are_kept(tmp_path: Path, name: str) -> None:
    classes: tuple[str, ...] = ("a 'b' \"c\"", "<d> & é", "- yes", "#1;2", "null", "0", "コード")
    if name == "voc":
        classes = tuple(label.replace("#", "") for label in classes)
    mask = np.arange(8, dtype=np.uint8)[None]
    (found,) = written(name, tmp_path, picture(mask), classes=classes).pictures
    np.testing.assert_array_equal(found.draw(classes, mask.shape), mask)


@every_format
def test_odd_file_names_are_written(tmp_path: Path, name: str) -> None:
    images = ["a&b <c>.png", 'quote".png', "tab\tä.png", "\x01.png", os.fsdecode(b"latin\xe9.png"), "-.png"]
    found = written(name, tmp_path, *(picture(RING, image) for image in images))
    assert len(found.pictures) == len(images)
    for one in found.pictures:
        np.testing.assert_array_equal(one.draw(CLASSES, RING.shape), RING)
    if name in ("coco", "labelme", "label-studio"):
        assert {one.image for one in found.pictures} == set(map(printable, images))


@every_format
def test_a_job_that_breaks_off_leaves_no_half_file(tmp_path: Path, name: str) -> None:
    def break_off() -> None:
        with FORMATS[name].writing(tmp_path, CLASSES, "") as write:
            write(picture(RING))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert not [path for path in tmp_path.rglob("*") if ".part" in path.name]
    assert not (tmp_path / "instances.json").exists()


@every_format
def test_a_place_that_cannot_be_written_is_an_error_of_out(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(OutError, match="Cannot write"),
        FORMATS[name].writing(tmp_path / "file", CLASSES, "") as write,
    ):
        write(picture(RING))


@every_format
def test_a_large_mask_takes_seconds(tmp_path: Path, name: str) -> None:
    large = np.zeros((3000, 3000), np.uint8)
    rows, columns = np.mgrid[:300, :300]
    blob = ((rows - 150) ** 2 + (columns - 150) ** 2 < 140**2) & ((rows // 20 + columns // 30) % 5 > 0)
    for at in range(100, 2500, 400):
        large[at : at + 300, at : at + 300] = blob * (1 + at // 100 % 3)
    begin = time.process_time()
    (found,) = written(name, tmp_path, picture(large)).pictures
    np.testing.assert_array_equal(found.draw(CLASSES, large.shape), large)
    assert time.process_time() - begin < 10


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "[1]", '{"shapes": 3}', "\xff\x00"])
def test_files_of_no_format_are_data_errors(tmp_path: Path, content: str) -> None:
    for name in ("a.json", "b.xml", "data.yaml"):
        folder = tmp_path / name.replace(".", "-")
        folder.mkdir()
        (folder / name).write_bytes(content.encode("latin-1"))
        try:
            assert not read(folder).pictures
        except DataError as error:
            assert str(folder) in str(error)  # noqa: PT017 - both ways are right


def test_what_is_no_mask_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read(tmp_path / "absent")
    with pytest.raises(DataError, match="no masks in a known format"):
        read(tmp_path)
    (tmp_path / "task.zip").touch()
    with pytest.raises(DataError, match="Unpack it"):
        read(tmp_path / "task.zip")


def test_an_unknown_format_is_a_usage_error() -> None:
    assert list(find_formats(["cvat", "png", "cvat"])) == ["cvat", "png"]
    with pytest.raises(UsageError, match=r"No format gimp\. There are: png, voc,"):
        find_formats(["gimp"])


def drawn(*regions: Region, size: tuple[int, int] | None = (4, 4)) -> Annotation:
    return Annotation("a.png", lambda size: regions, lambda: size)


def test_later_regions_cover_earlier_ones_and_what_reaches_outside_is_cut_off() -> None:
    ones = np.ones((3, 3), bool)
    mask = drawn(Region("x", ones, -1, -1), Region("y", ones, 1, 2)).draw(("x", "y"))
    assert mask.tolist() == [[1, 1, 0, 0], [1, 1, 2, 2], [0, 0, 2, 2], [0, 0, 2, 2]]
    assert drawn(Region("x", ones, 9, 9), Region("x", ones, -1, 3)).draw(("x",)).sum() == 2
    assert not drawn(Region("x", ones), Region(BACKGROUND, ones)).draw(("x",)).any()


def test_what_cannot_be_drawn_is_an_image_error() -> None:
    with pytest.raises(ImageError, match="none of the classes x"):
        drawn(Region("z", np.ones((1, 1), bool))).draw(("x",))
    with pytest.raises(ImageError, match=r"a\.png: x is annotated, but not on a single pixel of 4x4"):
        drawn(Region("x", np.ones((3, 3), bool), 9, 9), Region("x", np.zeros((2, 0), bool))).draw(("x",))
    with pytest.raises(ImageError, match=r"annotated at 4x4 pixels, but has 5x4"):
        drawn().draw(("x",), (4, 5))
    for size in (None, (0, 5), (-3, -3), (2**20, 2**20)):
        with pytest.raises(ImageError, match="how large"):
            drawn(size=size).draw(("x",))


def test_the_smallest_parts_of_a_class_become_one_where_there_are_too_many() -> None:
    mask = np.zeros((9, 9), np.uint8)
    mask[::2, ::2] = 1
    mask[:2, :2] = 1
    mask[5, 5] = 2
    regions = list(parts(mask, ("x", "y"), most=3))
    assert [region.label for region in regions] == ["x", "x", "x", "y"]
    np.testing.assert_array_equal(Annotation("", lambda size: regions, lambda: (9, 9)).draw(("x", "y")), mask)
    assert len(list(parts(mask, ("x", "y")))) == 23


def test_the_size_is_that_of_the_picture_where_it_is_known(tmp_path: Path) -> None:
    Image.new("L", (5, 4)).save(tmp_path / "a.png")
    corner = Region("x", np.ones((1, 1), bool))
    with_file = dataclasses.replace(drawn(corner, size=None), file=tmp_path / "a.png")
    assert with_file.draw(("x",)).shape == (4, 5)
    with pytest.raises(ImageError, match=r"annotated at 4x4 pixels, but has 5x4"):
        dataclasses.replace(drawn(corner), file=tmp_path / "a.png").draw(("x",))


def test_a_picture_that_is_there_twice_is_refused() -> None:
    assert distinct(["a/b.png", "a/b.jpg", "c.png"]) == ["a/b.png", "a/b.jpg", "c"]
    with pytest.raises(DataError, match=r"there twice \(1\):\n  a\.png"):
        distinct(["a.png", "b.png", "a.png"])


def test_links_to_folders_are_followed_each_once(tmp_path: Path) -> None:
    written("labelme", tmp_path / "theirs", picture(RING, "a.png"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/link").symlink_to(tmp_path / "theirs")
    (tmp_path / "theirs/back").symlink_to(tmp_path / "mine")
    assert len(read(tmp_path / "mine").pictures) == 1


def test_classes_are_the_same_however_their_accents_are_composed() -> None:
    one, other = "O\u0308lfleck", "\u00d6lfleck"
    assert drawn(Region(one, np.ones((4, 4), bool))).draw((other,)).all()
    assert drawn(Region(other, np.ones((4, 4), bool))).draw((one,)).all()
