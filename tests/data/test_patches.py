import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from relmask.data.index import read_index
from relmask.data.patches import cut_patches, label_window
from relmask.data.splits import assign
from relmask.errors import DataError, OutError, UsageError

SIDE = 16
CLASSES = ("crack", "pit")


def files(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "index.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def pixels(seed: int = 0, shape: tuple[int, ...] = (40, 32)) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A picture of 40x32 with 20 crack pixels upper left, 3 at the right border; and one without defects."""
    folder = tmp_path / "data"
    folder.mkdir()
    mask = np.zeros((40, 32), np.uint8)
    mask[5, 0:16] = mask[6, 0:4] = 255
    mask[20:23, 31] = 255
    Image.fromarray(pixels()).save(folder / "a.png")
    Image.fromarray(pixels(1)).save(folder / "b.png")
    Image.fromarray(mask).save(folder / "m.png")
    (folder / "index.csv").write_text(
        "image,label,group,split,mask\na.png,crack,part 7,train,m.png\nb.png,ok,,test,\n"
    )
    return folder


def test_patches_are_labelled_by_the_pixels_of_their_window(data: Path, tmp_path: Path) -> None:
    cut = cut_patches(data, tmp_path / "out", SIDE)
    found = {row["image"]: row["label"] for row in rows_of(tmp_path / "out")}
    # a.png has windows at rows 0, 16, 24 and columns 0, 16; the one with three crack pixels is dropped
    assert {name.removeprefix("patches/"): label for name, label in found.items() if "/a_" in name} == {
        "a_y0_x0.png": "crack",
        "a_y0_x16.png": "ok",
        "a_y16_x0.png": "ok",
        "a_y24_x0.png": "ok",
        "a_y24_x16.png": "ok",
    }
    assert cut.labels == {"crack": 1, "ok": 10}
    assert cut.splits == {"train": 5, "test": 6}
    assert cut.dropped == 1
    for name in found:
        source, top, left = name.removeprefix("patches/").removesuffix(".png").split("_")
        expected = pixels(0 if source == "a" else 1)
        window = (slice(int(top[1:]), int(top[1:]) + SIDE), slice(int(left[1:]), int(left[1:]) + SIDE))
        with Image.open(tmp_path / "out" / name) as patch:
            np.testing.assert_array_equal(np.asarray(patch), expected[window])


def test_group_and_split_are_those_of_the_picture_and_no_mask_is_written(data: Path, tmp_path: Path) -> None:
    cut_patches(data, tmp_path / "out", SIDE)
    rows = rows_of(tmp_path / "out")
    assert set(rows[0]) == {"image", "label", "group", "split"}
    assert {(row["group"], row["split"]) for row in rows} == {("part 7", "train"), ("b.png", "test")}
    index = read_index(tmp_path / "out")
    assert (index.clean, index.classes) == ("ok", ("crack",))
    assert not any(sample.mask for sample in index.samples)


def test_without_stated_splits_patches_have_none(data: Path, tmp_path: Path) -> None:
    (data / "index.csv").write_text("image,label,mask\na.png,crack,m.png\nb.png,ok,\n")
    cut = cut_patches(data, tmp_path / "out", SIDE)
    assert cut.splits == {}
    assert set(rows_of(tmp_path / "out")[0]) == {"image", "label", "group"}


def test_where_no_picture_is_clean_clean_patches_are_ok(data: Path, tmp_path: Path) -> None:
    (data / "index.csv").write_text("image,label,mask\na.png,crack,m.png\n")
    assert cut_patches(data, tmp_path / "out", SIDE).labels == {"crack": 1, "ok": 4}
    assign(read_index(tmp_path / "out"))


def test_the_name_of_the_clean_class_is_kept(data: Path, tmp_path: Path) -> None:
    (data / "index.csv").write_text("image,label,mask\na.png,crack,m.png\nb.png,iO,\n")
    assert cut_patches(data, tmp_path / "out", SIDE, clean="iO").labels == {"crack": 1, "iO": 10}


def test_the_fewest_defect_pixels_decide_what_is_dropped(data: Path, tmp_path: Path) -> None:
    labels = {least: cut_patches(data, tmp_path / str(least), SIDE, min_defect=least) for least in (3, 4, 21)}
    assert {least: (cut.labels, cut.dropped) for least, cut in labels.items()} == {
        3: ({"crack": 2, "ok": 10}, 0),
        4: ({"crack": 1, "ok": 10}, 1),
        21: ({"ok": 10}, 2),
    }


def test_windows_of_several_classes_need_enough_of_each() -> None:
    truth = np.array([[1, 1, 1], [2, 2, 0], [0, 0, 0]], np.uint8)
    assert label_window(truth, 2, CLASSES) == frozenset(CLASSES)
    assert label_window(truth, 3, CLASSES) is None
    assert label_window(truth[:1], 3, CLASSES) == frozenset(["crack"])
    assert label_window(truth[2:], 3, CLASSES) == frozenset()


def test_a_stride_cuts_overlapping_patches(data: Path, tmp_path: Path) -> None:
    cut = cut_patches(data, tmp_path / "out", SIDE, stride=8)
    assert sum(cut.labels.values()) + cut.dropped == 2 * 4 * 3


def test_the_same_cut_again_keeps_what_is_there_and_finishes_the_rest(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    cut_patches(data, out, SIDE)
    whole = files(out)
    (out / "index.csv").unlink()
    (out / "patches" / "a_y0_x0.png").unlink()
    kept = out / "patches" / "a_y0_x16.png"
    before = kept.stat().st_mtime_ns
    cut_patches(data, out, SIDE)
    assert files(out) == whole
    assert kept.stat().st_mtime_ns == before


def test_a_cut_with_other_settings_is_refused_unless_it_may_overwrite(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    cut_patches(data, out, SIDE)
    with pytest.raises(OutError, match=rf"(?s)other settings:\n  size: {SIDE}, now 8\n.*--overwrite"):
        cut_patches(data, out, 8)
    cut_patches(data, out, 8, overwrite=True)
    cut_patches(data, tmp_path / "fresh", 8)
    assert files(out) == files(tmp_path / "fresh")


def test_other_peoples_files_are_never_overwritten(data: Path, tmp_path: Path) -> None:
    before = files(data)
    with pytest.raises(OutError, match="holds other files"):
        cut_patches(data, data, SIDE, overwrite=True)
    assert files(data) == before
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutError, match=r"Cannot write .*file: a file or folder of that name is in the way"):
        cut_patches(data, tmp_path / "file", SIDE)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "patches.json").write_text("{")
    (tmp_path / "damaged" / "index.csv").write_text("image,label")
    with pytest.raises(OutError, match=r"patches\.json"):
        cut_patches(data, tmp_path / "damaged", SIDE)


def test_what_cannot_be_cut_is_listed(data: Path, tmp_path: Path) -> None:
    Image.fromarray(pixels(2, (10, 50))).save(data / "small.png")
    Image.fromarray(pixels(3)).save(data / "bare.png")
    (data / "broken.png").write_bytes(b"")
    with (data / "index.csv").open("a") as file:
        file.write("small.png,ok,,test,\nbare.png,crack,,test,\nbroken.png,ok,,test,\n")
    cut = cut_patches(data, tmp_path / "out", SIDE)
    assert cut.small == ("small.png",)
    assert cut.unmasked == ("bare.png",)
    assert list(cut.failed) == ["broken.png"]
    assert cut.labels == {"crack": 1, "ok": 10}


def test_pictures_that_differ_in_their_suffix_keep_their_patches_apart(data: Path, tmp_path: Path) -> None:
    Image.fromarray(pixels(5)).save(data / "b.bmp")
    with (data / "index.csv").open("a") as file:
        file.write("b.bmp,ok,,test,\n")
    cut = cut_patches(data, tmp_path / "out", SIDE)
    assert cut.labels == {"crack": 1, "ok": 16}
    assert len({row["image"] for row in rows_of(tmp_path / "out")}) == 17


@pytest.mark.parametrize("shape", [(40, 32), (40, 32, 3)])
def test_deep_pictures_keep_their_bits(data: Path, tmp_path: Path, shape: tuple[int, ...]) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, shape, dtype=np.uint16)
    tifffile.imwrite(data / "a.tif", deep, photometric="rgb" if deep.ndim == 3 else "minisblack")
    (data / "index.csv").write_text("image,label,mask\na.tif,crack,m.png\n")
    cut_patches(data, tmp_path / "out", SIDE)
    found = tifffile.imread(tmp_path / "out" / "patches" / "a_y24_x16.tif")
    np.testing.assert_array_equal(found, deep[24:, 16:])


@pytest.mark.parametrize(
    ("size", "stride", "least", "said"),
    [
        (4, None, None, "--size"),
        (16, 17, None, "--stride"),
        (16, 0, 1, "--stride"),
        (16, 8, 257, "--min-defect"),
        (16, 8, 0, "--min-defect"),
    ],
)
def test_sizes_out_of_range_are_refused(
    data: Path, tmp_path: Path, size: int, stride: int | None, least: int | None, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        cut_patches(data, tmp_path / "out", size, stride=stride, min_defect=least)


def test_without_masks_or_large_enough_pictures_nothing_can_be_cut(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 pictures are smaller"):
        cut_patches(data, tmp_path / "1", 64)
    (data / "index.csv").write_text("image,label\na.png,crack\nb.png,ok\n")
    with pytest.raises(DataError, match=r"No defective picture .* has a mask"):
        cut_patches(data, tmp_path / "2", SIDE)


def test_masks_that_are_named_and_not_there_are_said(data: Path, tmp_path: Path) -> None:
    with (data / "index.csv").open("a") as file:
        file.write("b.png,crack,,test,gone.png\n".replace("b.png", "c.png"))
    Image.fromarray(pixels(4)).save(data / "c.png")
    with pytest.warns(UserWarning, match=r"not there \(1\):\n.*gone\.png: no such file \(mask of c\.png\)"):
        assert cut_patches(data, tmp_path / "1", SIDE).unmasked == ("c.png",)
    (data / "index.csv").write_text("image,label,mask\na.png,crack,gone.png\nb.png,ok,\n")
    with pytest.raises(DataError, match=r"(?s)No defective picture .* has a mask.*gone\.png: no such file"):
        cut_patches(data, tmp_path / "2", SIDE)


def test_a_name_too_long_for_patches_fails_alone(data: Path, tmp_path: Path) -> None:
    name = "\N{GRINNING FACE}" * 60 + ".png"
    Image.fromarray(pixels(4)).save(data / name)
    with (data / "index.csv").open("a", encoding="utf-8") as file:
        file.write(f"{name},ok,,test,\n")
    cut = cut_patches(data, tmp_path / "out", SIDE)
    assert list(cut.failed) == [name]
    assert "too long" in cut.failed[name]
    assert cut.labels == {"crack": 1, "ok": 10}


def test_where_no_mask_can_be_used_each_says_why(data: Path, tmp_path: Path) -> None:
    (data / "index.csv").write_text("image,label,mask\na.png,crack,m.png\n")
    (data / "m.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"(?s)cannot be used \(1\):\n.*m\.png: is no picture"):
        cut_patches(data, tmp_path / "out", SIDE)


def test_real_cracks_give_patches_of_both_kinds(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "crackforest"
    head = (source / "index.csv").read_text().splitlines()[:4]
    lines = [
        line.replace("images/", f"{source}/images/").replace("masks/", f"{source}/masks/") for line in head
    ]
    (tmp_path / "few.csv").write_text("\n".join(lines))
    cut = cut_patches(tmp_path / "few.csv", tmp_path / "out", 96)
    assert sum(cut.labels.values()) + cut.dropped == 3 * 5 * 4
    assert cut.labels["crack"] >= 10
    assert cut.labels["ok"] >= 10
    assert Counter(row["split"] for row in rows_of(tmp_path / "out")) == cut.splits
