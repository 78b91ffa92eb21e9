from pathlib import Path, PureWindowsPath
from unicodedata import normalize

import pytest

from relmask.data.index import Sample, label_text, name_of, read_index, require_trainable
from relmask.data.truth import has_truth
from relmask.errors import DataError
from tests.data.pictures import labelled, labels_by_name, table, touched


def test_a_csv_gives_labels_groups_splits_and_masks(tmp_path: Path) -> None:
    text = "image,label,group,split,mask\nb.png,pit|crack,p1,train,masks/b.png\na.png,ok,,TEST,\n"
    path = table(tmp_path / "any.csv", text)
    index = read_index(path)
    assert index.root == tmp_path
    assert index.clean == "ok"
    assert index.classes == ("crack", "pit")
    first, second = index.samples
    assert first == Sample(tmp_path / "a.png", "a.png", frozenset(), "a.png", "test", None)
    assert second.labels == {"crack", "pit"}
    assert (second.group, second.split, second.mask) == ("p1", "train", tmp_path / "masks" / "b.png")
    assert [sample.name for sample in index.part("train")] == ["b.png"]


def test_a_folder_with_an_index_is_read_by_it(tmp_path: Path) -> None:
    table(tmp_path / "index.csv", "image,label\nx/a.png,pit\nx/b.png,ok\n")
    touched(tmp_path, "x/c.png")
    assert labels_by_name(read_index(tmp_path)) == {"x/a.png": {"pit"}, "x/b.png": set()}


def test_paths_of_windows_absolute_paths_and_detours_are_understood(tmp_path: Path) -> None:
    outside = touched(tmp_path / "elsewhere", "c.png") / "c.png"
    touched(tmp_path / "data", "x/a.png", "b.png")
    text = f"image;label\nx\\a.png;pit\n.\\x\\..\\b.png;ok\n{outside};pit\n"
    (tmp_path / "data" / "index.csv").write_text(text)
    names = labels_by_name(read_index(tmp_path / "data"))
    assert set(names) == {"x/a.png", "b.png", outside.as_posix().lstrip("/")}


def test_the_order_of_the_rows_does_not_matter(tmp_path: Path) -> None:
    rows = ["b.png,pit,g", "a.png,ok,h", "c.png,pit,g"]
    one = read_index(table(tmp_path / "1" / "index.csv", "\n".join(["image,label,group", *rows])))
    two = read_index(table(tmp_path / "2" / "index.csv", "\n".join(["image,label,group", *rows[::-1]])))
    assert labels_by_name(one) == labels_by_name(two)
    assert one.fingerprint == two.fingerprint


def test_the_fingerprint_changes_with_labels_groups_splits_and_sizes(tmp_path: Path) -> None:
    prints = set()
    rows = ["a.png,pit,g,val", "a.png,crack,g,val", "a.png,pit,h,val", "z.png,pit,g,val", "a.png,pit,g,test"]
    for number, row in enumerate(rows):
        folder = tmp_path / str(number)
        table(folder / "index.csv", f"image,label,group,split\n{row}\nb.png,ok,k,train\n")
        prints.add(read_index(folder).fingerprint)
    (tmp_path / "0" / "a.png").write_bytes(b"longer")
    prints.add(read_index(tmp_path / "0").fingerprint)
    assert len(prints) == 6


def test_all_problems_of_a_csv_are_named_at_once(tmp_path: Path) -> None:
    text = """image,label,split
a.png,pit,train
a.png,pit,train
./a.png,ok,train
b.png,,train
missing.png,pit,train
a.png/x.png,pit,train
,pit,train
b.png,pit,maybe
"""
    path = table(tmp_path / "index.csv", "image,label\na.png,pit\nb.png,pit\n")
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_index(tmp_path)
    message = str(caught.value)
    assert f"Problems in {path} (8)" in message
    assert "line 3: a.png is already on line 2" in message
    assert "line 4: ./a.png is already on line 2" in message
    assert "line 5: no label" in message
    assert "line 6: missing.png: no such file" in message
    assert "... and 3 more" in message
    assert "joined by |" in message


def test_a_split_for_some_rows_only_is_refused(tmp_path: Path) -> None:
    table(tmp_path / "index.csv", "image,label,split\na.png,pit,train\nb.png,ok,\nc.png,ok,dev\n")
    with pytest.raises(DataError, match=r"(?s)line 3: no split.*line 4: split 'dev' is none of"):
        read_index(tmp_path)


def test_an_empty_split_column_is_none(tmp_path: Path) -> None:
    table(tmp_path / "index.csv", "image,label,split\na.png,pit,\nb.png,ok,\n")
    assert {sample.split for sample in read_index(tmp_path).samples} == {None}


def test_mvtec_is_read_without_its_splits_and_with_its_masks(tmp_path: Path) -> None:
    touched(tmp_path, "train/good/000.png", "test/good/000.png", "test/hole/000.png", "test/cut/a.png")
    touched(tmp_path, "ground_truth/hole/000_mask.png", "ground_truth/cut/a.png", "license.txt")
    index = read_index(tmp_path)
    assert index.clean == "good"
    assert index.classes == ("cut", "hole")
    found = {sample.name: (set(sample.labels), sample.split) for sample in index.samples}
    assert found == {
        "train/good/000.png": (set(), None),
        "test/good/000.png": (set(), None),
        "test/hole/000.png": ({"hole"}, None),
        "test/cut/a.png": ({"cut"}, None),
    }
    masks = {s.name: s.mask.name for s in index.samples if isinstance(s.mask, Path)}
    assert masks == {"test/hole/000.png": "000_mask.png", "test/cut/a.png": "a.png"}


def test_several_sets_in_mvtecs_layout_ask_for_one(tmp_path: Path) -> None:
    for name in ("bottle", "cable"):
        touched(tmp_path / name, "train/good/0.png", "test/hole/0.png")
    with pytest.raises(DataError, match=r"(?s)Choose one:.*bottle.*cable"):
        read_index(tmp_path)


def test_a_folder_a_class_is_read_with_its_sub_folders(tmp_path: Path) -> None:
    touched(tmp_path, "OK/1.PNG", "OK/deep/2.jpeg", "scratch/1.tif", "scratch/._1.tif", "scratch/notes.txt")
    touched(tmp_path, ".git/x.png", "readme.txt")
    index = read_index(tmp_path)
    assert index.clean == "OK"
    assert labels_by_name(index) == {"OK/1.PNG": set(), "OK/deep/2.jpeg": set(), "scratch/1.tif": {"scratch"}}
    assert {sample.group for sample in index.samples} == set(labels_by_name(index))


def test_folders_named_after_splits_are_splits(tmp_path: Path) -> None:
    touched(tmp_path, "train/ok/1.png", "train/pit/1.png", "Valid/pit/2.png", "test/ok/3.png")
    index = read_index(tmp_path)
    assert index.classes == ("pit",)
    assert {sample.name: sample.split for sample in index.samples} == {
        "train/ok/1.png": "train",
        "train/pit/1.png": "train",
        "Valid/pit/2.png": "val",
        "test/ok/3.png": "test",
    }


def test_pictures_without_a_class_are_named(tmp_path: Path) -> None:
    touched(tmp_path, "ok/1.png", "a.png", "b.png")
    with pytest.raises(DataError, match=r"(?s)without a class \(2\):\n  a.png\n  b.png\nMove each"):
        read_index(tmp_path)


def test_images_beside_masks_are_not_taken_for_classes(tmp_path: Path) -> None:
    touched(tmp_path, "images/1.png", "masks/1.png")
    with pytest.raises(DataError, match="images beside masks"):
        read_index(tmp_path)


def test_no_pictures_or_no_such_place_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No pictures in"):
        read_index(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        read_index(tmp_path / "none")
    (tmp_path / "index.csv").write_text("image,label\n")
    with pytest.raises(DataError, match="No pictures in"):
        read_index(tmp_path)
    with pytest.raises(DataError, match="is not a text file"):
        read_index(_binary(tmp_path))


def _binary(folder: Path) -> Path:
    path = folder / "photo.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x81\x8d")
    return path


@pytest.mark.parametrize("name", ["ok", "good", "free", "normal", "clean", "Good"])
def test_the_usual_names_mean_clean(tmp_path: Path, name: str) -> None:
    touched(tmp_path, f"{name}/1.png", "pit/1.png")
    assert read_index(tmp_path).clean == name


def test_two_names_for_clean_need_a_choice(tmp_path: Path) -> None:
    touched(tmp_path, "ok/1.png", "free/1.png", "pit/1.png")
    with pytest.raises(DataError, match=r"labels free, ok.*--clean"):
        read_index(tmp_path)
    assert read_index(tmp_path, clean="ok").classes == ("free", "pit")


def test_clean_can_be_named_and_must_exist(tmp_path: Path) -> None:
    touched(tmp_path, "iO/1.png", "pit/1.png")
    assert read_index(tmp_path).clean is None
    assert read_index(tmp_path, clean="iO").classes == ("pit",)
    with pytest.raises(DataError, match=r"No picture in .* is labelled io. Its labels are iO, pit"):
        read_index(tmp_path, clean="io")


def test_what_a_run_calls_clean_is_clean_where_some_picture_has_it(tmp_path: Path) -> None:
    data = table(tmp_path / "index.csv", "image,label\na.png,fine\nb.png,ok\nc.png,pit\n")
    assert read_index(data, usual="fine").clean == "fine"
    assert read_index(data, usual="spotless").clean == "ok"
    assert read_index(data, "ok", usual="fine").clean == "ok"


def test_clean_and_a_defect_on_one_picture_contradict(tmp_path: Path) -> None:
    table(tmp_path / "index.csv", "image,label\na.png,ok|pit\nb.png,ok\n")
    with pytest.raises(DataError, match=r"(?s)labelled ok and a defect \(1\):\n  a.png"):
        read_index(tmp_path)


def test_classes_csv_names_the_values_of_masks(tmp_path: Path) -> None:
    labelled(tmp_path, {"a": ("pit", 1), "b": ("ok", 1)})
    table(tmp_path / "classes.csv", "value,label\n0,ok\n7,pit\n255,void\n")
    assert read_index(tmp_path).mask_values == {7: "pit", 255: "void"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "value,label\n-1,pit\nx,crack\n3,\n4,a\n4,b\n",
            r"(?s)\(4\):.*'-1'.*'x'.*3 has no label.*4 is named twice",
        ),
        ("value,label\n0,pit\n", "value 0 pit"),
        ("pit\n", "lacks the column"),
    ],
)
def test_a_broken_classes_csv_is_refused(tmp_path: Path, text: str, said: str) -> None:
    labelled(tmp_path, {"a": ("pit", 1), "b": ("ok", 1)})
    (tmp_path / "classes.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        read_index(tmp_path)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('"a\nb.png",pit,', r"line 3: the image 'a\\nb.png' has a line break"),
        ('a.png,"pi\nt",', r"line 3: the label 'pi\\nt' has a line break"),
        ('a.png,pit,"tile\n7"', r"line 3: the group 'tile\\n7' has a line break"),
    ],
)
def test_a_cell_of_several_lines_is_named_with_its_column(tmp_path: Path, row: str, said: str) -> None:
    touched(tmp_path, "a.png", "a\nb.png")
    (tmp_path / "index.csv").write_text(f"image,label,group\n{row}\n")
    with pytest.raises(DataError, match=said):
        read_index(tmp_path)


def test_names_of_a_table_are_found_in_another_unicode_form(tmp_path: Path) -> None:
    image, mask = "Prüfteile/é.png", "Masken/ä.png"
    decomposed, composed = ([normalize(form, name) for name in (image, mask)] for form in ("NFD", "NFC"))
    for number, (on_disk, cells) in enumerate(((decomposed, composed), (composed, decomposed))):
        folder = touched(tmp_path / str(number), *on_disk, "b.png")
        text = f"image,label,mask\n{','.join((cells[0], 'pit', cells[1]))}\nb.png,ok,\n"
        (folder / "index.csv").write_text(text, encoding="utf-8")
        _, sample = read_index(folder).samples
        assert sample.path.is_file()
        assert has_truth(sample)


def test_classes_are_named_in_any_unicode_form(tmp_path: Path) -> None:
    touched(tmp_path, normalize("NFD", "schön/1.png"), normalize("NFD", "Blüte/2.png"))
    (tmp_path / "classes.csv").write_text(normalize("NFC", "value,label\n7,Blüte\n"), encoding="utf-8")
    index = read_index(tmp_path, clean=normalize("NFC", "schön"))
    assert index.clean == normalize("NFD", "schön")
    assert index.mask_values == {7: normalize("NFD", "Blüte")}


def test_the_same_path_in_and_outside_of_data_is_refused(tmp_path: Path) -> None:
    outside = touched(tmp_path, "a.png") / "a.png"
    inside = touched(tmp_path / "data", outside.as_posix().lstrip("/"))
    (inside / "index.csv").write_text(f"image,label\n{outside},pit\n{outside.as_posix().lstrip('/')},ok\n")
    with pytest.raises(DataError, match="in and outside of"):
        read_index(inside)


def test_pictures_of_two_drives_have_names_of_their_own() -> None:
    root = PureWindowsPath("C:/data")
    names = [name_of(PureWindowsPath(path), root) for path in ("C:/a/1.png", "D:/a/1.png", "C:/data/a/1.png")]
    assert names == ["C/a/1.png", "D/a/1.png", "a/1.png"]
    assert name_of(PureWindowsPath("//server/share/a/1.png"), root) == "server/share/a/1.png"


def test_a_name_that_is_too_long_is_a_problem_of_its_line(tmp_path: Path) -> None:
    touched(tmp_path, "a.png", "b.png")
    (tmp_path / "index.csv").write_text(f"image,label,mask\n{'x' * 300}.png,pit,\n")
    with pytest.raises(DataError, match=r"line 2: x+\.png: a name that is too long"):
        read_index(tmp_path)
    (tmp_path / "index.csv").write_text(f"image,label,mask\na.png,pit,{'x' * 300}.png\nb.png,ok,\n")
    assert not has_truth(read_index(tmp_path).samples[0])


def test_a_data_set_with_nothing_to_learn_is_readable_but_not_trainable(tmp_path: Path) -> None:
    alone = read_index(labelled(tmp_path / "1", {"a": ("pit", 2)}))
    with pytest.raises(DataError, match=r"labelled pit, and none is clean.*relmask patches"):
        require_trainable(alone)
    always = read_index(labelled(tmp_path / "2", {"a": ("pit|crack", 2)}))
    with pytest.raises(DataError, match="labelled crack and pit, and none is clean"):
        require_trainable(always)
    spotless = read_index(labelled(tmp_path / "3", {"a": ("ok", 2)}))
    with pytest.raises(DataError, match=r"All pictures .* are ok"):
        require_trainable(spotless)
    require_trainable(read_index(labelled(tmp_path / "4", {"a": ("pit", 1), "b": ("crack", 1)})))


def test_labels_become_a_cell() -> None:
    assert label_text({"pit", "crack"}) == "crack|pit"
    assert label_text(set(), "ok") == "ok"
    assert label_text(set()) == ""
