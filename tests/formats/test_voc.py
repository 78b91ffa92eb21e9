"""Masks in Pascal VOC's layout; its colours are those of the development kit."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from relmask.errors import DataError, ImageError, OutError
from relmask.formats import read, voc
from tests.formats.exports import INSIDE, assert_inside, only


def masks(path: Path, labels: str) -> Path:
    pixels = np.where(INSIDE[..., None], (230, 159, 0), (0, 128, 0)).astype(np.uint8)
    pixels[5, 5] = 224, 224, 192
    (path / "SegmentationClass/a").mkdir(parents=True)
    Image.fromarray(pixels).save(path / "SegmentationClass/a/b.png")
    (path / "labelmap.txt").write_text(labels, encoding="utf-8", newline="")
    return path


def test_colours_are_those_of_the_development_kit() -> None:
    first = [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128], [128, 0, 128], [0, 128, 128]]
    assert voc.colours(256)[:7].tolist() == first
    assert voc.colours(256)[[15, 20, 255]].tolist() == [[192, 128, 128], [0, 64, 128], [224, 224, 192]]


@pytest.mark.parametrize(
    "labels",
    [
        "# label:color_rgb:parts:actions\nbackground:0,128,0::\npit:230,159,0::\n",
        "\ufeffbackground:0,128,0::\r\n\r\npit:230, 159, 0:hole:\r\n",
    ],
)
def test_masks_of_cvat_in_rgb(tmp_path: Path, labels: str) -> None:
    """CVAT chooses its own colours, and may give background another than black."""
    assert_inside(only(masks(tmp_path / "x", labels), "voc"))


def test_a_colour_that_is_no_class_fails_its_picture(tmp_path: Path) -> None:
    found = only(masks(tmp_path / "x", "background:0,128,0::\npit:1,2,3::\n"), "voc")
    with pytest.raises(ImageError, match=r"\(230, 159, 0\) is no class"):
        found.draw(("pit",))


def test_a_damaged_mask_fails_its_picture_alone(tmp_path: Path) -> None:
    path = masks(tmp_path / "x", "background:0,128,0::\npit:230,159,0::\n")
    (path / "SegmentationClass/c.png").write_bytes((path / "SegmentationClass/a/b.png").read_bytes()[:-30])
    whole, broken = read(path).pictures
    assert_inside(whole)
    with pytest.raises(ImageError, match=r"c\.png: .*(Export|Save) it again"):
        broken.draw(("pit",))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("pit\n", "line 1: a colour should be three numbers from 0 to 255"),
        ("# pit\n\npit:1,2::\n", "line 3: a colour should be three numbers"),
        ("pit:1,2,x::\n", "line 1: a colour should be three numbers"),
        ("pit:1,2,256::\n", "line 1: a colour should be three numbers"),
        ("background:0,0,0::\npit:0,0,0::\n", "line 2: another class has the colour of pit"),
        ("\xff\xfe", "no text file in UTF-8"),
    ],
)
def test_a_label_map_that_is_damaged_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    (masks(tmp_path / "x", "") / "labelmap.txt").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=rf"labelmap\.txt.*{re.escape(reason)}"):
        read(tmp_path / "x")


def test_a_label_map_that_is_missing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "SegmentationClass").mkdir()
    with pytest.raises(DataError, match=r"labelmap\.txt cannot be read: No such file"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["a:b", "#a"])
def test_a_class_that_a_label_map_cannot_hold_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutError, match="cannot hold"), voc.writing(tmp_path, (name,), ""):
        pass
