from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from relmask.errors import DataError
from relmask.jobs import inputs
from relmask.jobs.inputs import find_items


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def names(*given: str | Path, skip: tuple[Path, ...] = ()) -> list[str]:
    return [item.name for item in find_items(given, skip)]


def test_a_folder_is_searched_to_the_bottom(tmp_path: Path) -> None:
    touch(tmp_path, "b.png", "deep/er/a.JPG", "notes.txt", ".hidden.png", ".cache/c.png")
    assert names(tmp_path) == ["b", "deep/er/a"]


def test_pictures_that_would_share_a_name_keep_their_suffixes(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "a.png", "a.jpg.bmp", "b.jpg", "sub/b.png")
    assert sorted(names(tmp_path)) == ["a.jpg", "a.jpg.bmp", "a.png", "b", "sub/b"]


def test_folders_are_told_apart_by_as_much_of_their_paths_as_that_takes(tmp_path: Path) -> None:
    touch(tmp_path, "monday/images/1.png", "tuesday/images/1.png", "tuesday/other/1.png")
    assert names(tmp_path / "monday", tmp_path / "tuesday/other") == ["monday/images/1", "other/1"]
    assert names(tmp_path / "monday/images", tmp_path / "tuesday/images") == [
        "monday/images/1",
        "tuesday/images/1",
    ]


def test_single_files_of_one_folder_have_their_plain_names(tmp_path: Path) -> None:
    touch(tmp_path, "1.png", "2.png", "else/1.png")
    assert names(tmp_path / "1.png", tmp_path / "2.png") == ["1", "2"]
    assert names(tmp_path / "1.png", tmp_path / "else/1.png") == [f"{tmp_path.name}/1", "else/1"]


def test_names_of_a_glob_begin_after_its_fixed_part(tmp_path: Path) -> None:
    touch(tmp_path, "parts/a/1.png", "parts/b/1.png", "parts/b/notes.txt", "rest/1.png")
    assert names(str(tmp_path / "parts" / "*" / "*")) == ["a/1", "b/1"]
    assert names(str(tmp_path / "**" / "1.png")) == ["parts/a/1", "parts/b/1", "rest/1"]


@pytest.mark.parametrize(
    ("roots", "prefixes"),
    [
        (["C:\\a", "D:\\a"], ["C/a/", "D/a/"]),
        (["C:\\", "D:\\"], ["C/", "D/"]),
        (["C:\\a", "C:\\b"], ["a/", "b/"]),
        (["\\\\one\\parts\\a", "\\\\two\\parts\\a"], ["one/parts/a/", "two/parts/a/"]),
        (["/a", "/"], ["a/", ""]),
        (["/a", "/b/a"], ["a/", "b/a/"]),
        (["/a:b", "/a_b", "/a\\b"], ["a:b/", "a_b/", "a\\b/"]),
    ],
)
def test_drives_tell_folders_of_one_name_apart(
    roots: list[str], prefixes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    flavour = PurePosixPath if roots[0].startswith("/") else PureWindowsPath
    monkeypatch.setattr(inputs, "PurePath", flavour)
    assert inputs._prefixes(set(roots)) == dict(zip(roots, prefixes, strict=True))


def test_a_file_name_with_brackets_is_no_pattern(tmp_path: Path) -> None:
    touch(tmp_path, "part[1].png")
    assert names(tmp_path / "part[1].png") == ["part[1]"]


def test_a_picture_named_twice_is_done_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "in/1.png")
    monkeypatch.chdir(tmp_path)
    assert len(find_items(["in", "in/1.png", tmp_path / "in", "in/../in"])) == 1


def test_what_the_job_writes_is_no_input(tmp_path: Path) -> None:
    touch(tmp_path, "1.png", "masks/1.png", "masks-of-others/1.png")
    assert names(tmp_path, skip=(tmp_path / "masks",)) == ["1", "masks-of-others/1"]


def test_files_that_are_not_read_are_named_but_for_what_lies_beside_pictures(tmp_path: Path) -> None:
    touch(tmp_path, "1.png", "a/2.heic", "a/3", "notes.txt", "masks/4.dcm")
    for given in (tmp_path, str(tmp_path / "**")):
        with pytest.warns(UserWarning, match=r"(?s)leaves out \(2\):.*a/2\.heic.*a/3\nSave pictures as"):
            assert names(given, tmp_path, skip=(tmp_path / "masks",)) == ["1"]
    with pytest.raises(DataError, match=r"(?s)No pictures in .*a/2\.heic"):
        names(tmp_path / "a")
    asked_for = [tmp_path / "a/2.heic", tmp_path / "a/3"]
    assert [item.path for item in find_items([tmp_path / "a", *asked_for])] == asked_for  # and get lines


def test_all_missing_inputs_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "1.png")
    with pytest.raises(DataError, match=r"(?s)\(2\).*one.*two"):
        find_items([tmp_path / "one", tmp_path / "1.png", tmp_path / "two"])


def test_no_picture_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt")
    with pytest.raises(DataError, match="No pictures"):
        find_items([tmp_path])
    with pytest.raises(DataError, match="No pictures"):
        find_items([str(tmp_path / "*.png")])
