"""YOLO's files as tools export them; their layout is that of the documentation of Ultralytics."""

from pathlib import Path

import pytest
from PIL import Image

from relmask.errors import DataError, ImageError
from relmask.formats import Annotation, read
from tests.formats.exports import CORNERS, assert_inside, left_out, only

POLYGON = "0 " + " ".join(f"{x / 8:.6f} {y / 6:.6f}" for x, y in CORNERS)


def labels(path: Path, *lines: str, newline: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(line + newline for line in lines).encode())
    return path


def folder(path: Path, *lines: str, table: str = "names: [pit, dent]\n") -> Path:
    path.mkdir(exist_ok=True)
    (path / "data.yaml").write_text(table)
    labels(path / "labels/b.txt", *lines)
    return path


def first(path: Path) -> Annotation:
    return only(path, "yolo")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("data.yaml", "path: ./\ntrain: train.txt\nnames:\n  0: pit\n  1: 'dent: deep'\n"),
        ("data.yaml", "train: ../train/images\nnc: 2\nnames: ['pit', 'dent: deep']\n"),
        ("data.yml", "\ufeffnames:\r\n- pit\r\n- 'dent: deep'\r\n"),
        ("classes.txt", "pit\ndent: deep\n"),
        ("obj.names", "\ufeffpit\r\ndent: deep\r\n\r\n"),
    ],
)
def test_ways_to_name_classes(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    (tmp_path / "train.txt").write_text("images/train/b.png\n")
    labels(tmp_path / "labels/train/b.txt", POLYGON, "", newline="\r\n")
    assert read(tmp_path).classes == ("pit", "dent: deep")
    assert_inside(first(tmp_path), size=(6, 8))
    assert first(tmp_path).image == "train/b"


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("nc: 2\n", "`names` should be a list"),
        ("names: obj.names\n", "`names` should be a list"),
        ("- pit\n", "`names` should be a list"),
        ("names: {pit: 0}\n", "`names` should be a list"),
        ("names: [no, pit]\n", "class 0 has no name; put quotes around yes, no and null"),
        ("names: [pit]\nkpt_shape: [17, 3]\n", "key points"),
        ("names: [pit\n", "it breaks in line 2"),
        ("a: &a [*a]\nnames: 2001-99-99\n", "it breaks"),
    ],
)
def test_a_table_without_names_is_refused(tmp_path: Path, table: str, reason: str) -> None:
    with pytest.raises(DataError, match=rf"data\.yaml.*{reason}"):
        read(folder(tmp_path / "x", POLYGON, table=table))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("7 0 0 0 1 1 1", r"class 7 is none of data\.yaml"),
        ("0 0 0 0 1 1", None),
        ("0", "a polygon needs three corners"),
        ("0 0 0 0", "a polygon needs three corners"),
        ("0 a b c d e f", "it should read: class x1 y1 x2 y2 x3 y3"),
        ("pit 0 0 0 1 1 1", "it should read: class x1 y1"),
        ("0 0 0 0 1 1 nan", "it should read: class x1 y1"),
        ("0 0 0 0 1 1 1 1.5", "7 numbers are no pairs, and the last is no confidence"),
        ("0 10 10 60 10 60 40", "shares of width and height"),
        ("0 0.01 0.01 0.02 0.01 0.02 0.02", "not on a single pixel"),
    ],
)
def test_a_damaged_line_fails_its_picture_alone(tmp_path: Path, line: str, reason: str | None) -> None:
    path = folder(tmp_path / "x", "", line)
    labels(path / "labels/c.txt", POLYGON)
    if reason is None:  # a box and how sure a detector is of it
        broken, whole = left_out(path, "boxes without a mask (1)").pictures
        reason = "boxes only"
    else:
        broken, whole = read(path).pictures
    with pytest.raises(ImageError, match=rf"^b: .*{reason}"):
        broken.draw(("pit", "dent"), (6, 8))
    if "boxes" not in reason and "pixel" not in reason:
        with pytest.raises(ImageError, match=r"b\.txt, line 2"):
            broken.draw(("pit", "dent"), (6, 8))
    assert_inside(whole, size=(6, 8))


@pytest.mark.parametrize(
    ("line", "counted"),
    [
        ("1 0.5 0.5 0.1 0.1", "boxes without a mask (1)"),
        ("1 0.5 0.5 0.1 0.1 0.9", "boxes without a mask (1)"),
        ("1 0.1 0.1 0.2 0.1 0.3 0.1", "polygons without area (1)"),
    ],
)
def test_what_has_no_area_is_left_out_and_counted(tmp_path: Path, line: str, counted: str) -> None:
    (found,) = left_out(folder(tmp_path / "x", line, POLYGON), counted).pictures
    assert_inside(found, size=(6, 8))


def test_a_confidence_behind_the_corners_is_the_score(tmp_path: Path) -> None:
    found = first(folder(tmp_path / "x", f"{POLYGON} 0.87", f"{POLYGON} 0.5"))
    assert_inside(found, size=(6, 8))
    assert found.scores == {"pit": 0.87}


def test_other_text_files_are_no_labels(tmp_path: Path) -> None:
    """Roboflow puts two READMEs beside its folders, CVAT lists of pictures."""
    path = tmp_path / "export"
    labels(path / "train/labels/b.txt", POLYGON)
    (path / "data.yaml").write_text("names: [pit]\n")
    (path / "README.roboflow.txt").write_text("pits > 2024-05-01\n")
    (path / "notes.txt").write_text("Provided by a user\n")
    found = first(path)
    assert found.image == "train/images/b"
    assert_inside(found, size=(6, 8))
    (path / "train/labels/c.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ImageError, match=r"c\.txt is no text file in UTF-8"):
        read(path).pictures[1].draw(("pit",), (6, 8))


def test_without_a_folder_of_labels_those_that_hold_numbers_count(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("pit\n")
    labels(tmp_path / "obj_train_data/b.txt", POLYGON)
    (tmp_path / "obj_train_data/notes.txt").write_text("Annotated by a user\n")
    (found,) = left_out(tmp_path, "text files that hold no labels (1)").pictures
    assert_inside(found, size=(6, 8))
    Image.new("L", (8, 6)).save(tmp_path / "obj_train_data/notes.png")
    assert len(read(tmp_path).pictures) == 2


def test_the_folder_of_labels_finds_the_table_above_it(tmp_path: Path) -> None:
    found = first(folder(tmp_path / "x", POLYGON) / "labels")
    assert found.image == "b"
    assert_inside(found, size=(6, 8))


def test_the_size_of_the_picture_is_needed(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="--images"):
        first(folder(tmp_path / "x", POLYGON)).draw(("pit",))
