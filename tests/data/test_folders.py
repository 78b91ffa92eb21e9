from pathlib import Path

import pytest

from relmask.data.index import read_index
from relmask.errors import DataError
from tests.data.pictures import labels_by_name, touched


def test_pictures_in_folders_whose_names_are_no_text_are_left_out_alone(tmp_path: Path) -> None:
    touched(tmp_path, "ok/1.png", "pit/b\udcff.png", "pit/2.png", "a\nb/3.png")
    with pytest.warns(UserWarning, match=r"(?s)no table can hold.*\(2\):\n  'a\\nb/3.png'\n.*b\\udcff"):
        index = read_index(tmp_path)
    assert labels_by_name(index) == {"ok/1.png": set(), "pit/2.png": {"pit"}}


def linked(place: Path, target: Path) -> None:
    try:
        place.symlink_to(target, target_is_directory=True)
    except OSError:
        pytest.skip("this system has no links")


def test_class_folders_that_are_links_are_followed(tmp_path: Path) -> None:
    touched(tmp_path, "data/ok/1.png", "elsewhere/deep/2.png")
    linked(tmp_path / "data" / "pit", tmp_path / "elsewhere")
    assert labels_by_name(read_index(tmp_path / "data")) == {"ok/1.png": set(), "pit/deep/2.png": {"pit"}}


def test_links_in_circles_end_and_are_said(tmp_path: Path) -> None:
    touched(tmp_path, "data/ok/1.png", "data/pit/2.png")
    linked(tmp_path / "data" / "pit" / "all", tmp_path / "data")
    linked(tmp_path / "data" / "ok" / "above", tmp_path)
    linked(tmp_path / "data" / "ok" / "other", tmp_path / "data" / "pit")
    linked(tmp_path / "data" / "pit" / "other", tmp_path / "data" / "ok")
    with pytest.warns(UserWarning, match=r"(?s)lead back to a folder.*ok/above.*pit/all"):
        index = read_index(tmp_path / "data")
    assert set(labels_by_name(index)) == {"ok/1.png", "ok/other/2.png", "pit/2.png", "pit/other/1.png"}


def test_folders_without_pictures_are_said(tmp_path: Path) -> None:
    touched(tmp_path, "ok/1.png", "scratch/1.png", "crack/1.heic", "crack/2.HEIC", "crack/notes.txt")
    for empty in ("pit", "pit/deeper", "gone", ".hidden"):
        (tmp_path / empty).mkdir()
    linked(tmp_path / "gone" / "x", tmp_path / "nowhere")
    expected = r"\(3\):\n  crack: 2 \.heic, 1 \.txt\n  gone: 1 links that lead nowhere\n  pit: empty\nAdd"
    with pytest.warns(UserWarning, match=expected):
        index = read_index(tmp_path)
    assert index.classes == ("scratch",)
    assert len(index.left_out) == 1


def test_files_of_kinds_that_are_not_read_are_said(tmp_path: Path) -> None:
    touched(tmp_path, "ok/1.png", "ok/2.cr2", "ok/3", "pit/1.png", "pit/1.json", "pit/Thumbs.db", "4.svg")
    with pytest.warns(
        UserWarning, match=r"(?s)leaves out:\n  \.: 1 \.svg\n  ok: 1 \.cr2, 1 without suffix\nSave"
    ):
        read_index(tmp_path)


def test_an_empty_split_or_class_of_a_split_is_said(tmp_path: Path) -> None:
    touched(tmp_path, "train/ok/1.png", "train/pit/2.png", "test/ok/3.png")
    (tmp_path / "val").mkdir()
    (tmp_path / "test" / "pit").mkdir()
    with pytest.warns(UserWarning, match=r"(?s)\(2\):\n  test/pit: empty\n  val: empty\n"):
        index = read_index(tmp_path)
    assert {sample.split for sample in index.samples} == {"train", "test"}


def test_a_folder_of_unread_files_alone_says_what_they_are(tmp_path: Path) -> None:
    touched(tmp_path, "ok/1.heic", "pit/2.heic")
    with pytest.raises(DataError, match=r"(?s)ok: 1 \.heic.*No pictures in"):
        read_index(tmp_path)


def test_of_mvtecs_layout_nothing_is_left_out_without_a_word(tmp_path: Path) -> None:
    touched(tmp_path, "train/good/0.png", "validation/good/1.png", "test/hole/2.png", "test/3.png")
    touched(tmp_path, "ground_truth/hole/2_mask.png", "ground_truth/cut/9_mask.png")
    (tmp_path / "test" / "cut").mkdir()
    index = read_index(tmp_path, warn=False)
    assert set(labels_by_name(index)) == {"train/good/0.png", "validation/good/1.png", "test/hole/2.png"}
    said = "\n".join(index.left_out)
    assert all(part in said for part in ("test/cut: empty", "test/3.png", "ground_truth/cut/9_mask.png"))


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    touched(tmp_path, "ok/1.png", "pit/1.png")
    (tmp_path / "pit").chmod(0)
    try:
        if _reads_everything(tmp_path / "pit"):
            pytest.skip("this user may read everything")
        with pytest.raises(DataError, match="cannot be read"):
            read_index(tmp_path)
    finally:
        (tmp_path / "pit").chmod(0o755)


def _reads_everything(folder: Path) -> bool:
    try:
        return bool(list(folder.iterdir()))
    except PermissionError:
        return False
