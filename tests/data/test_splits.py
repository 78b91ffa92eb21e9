from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmask.data.index import Index, Sample, read_index
from relmask.data.splits import (
    SHARES,
    Split,
    SplitLine,
    assign,
    crossing_groups,
    draw,
    placed,
    read_split,
    write_split,
)
from relmask.errors import DataError
from tests.data.pictures import labelled, table

CLASSES = ("crack", "dent", "pit")


def index_of(samples: Sequence[tuple[str, str, str | None]], clean: str | None = "ok") -> Index:
    """An index of (labels, group, split), whose pictures need not exist."""
    made = tuple(
        Sample(Path(f"/{n}.png"), f"{n}.png", frozenset(labels.split("|")) - {clean or "", ""}, group, split)
        for n, (labels, group, split) in enumerate(samples)
    )
    classes = tuple(sorted({label for sample in made for label in sample.labels}))
    return Index(Path("/"), made, classes, clean)


def splits_of(split: Split) -> dict[str, str | None]:
    return {sample.name: sample.split for sample in split.index.samples}


def where(split: Split) -> dict[str, set[str | None]]:
    found: dict[str, set[str | None]] = defaultdict(set)
    for sample in split.index.samples:
        for label in sample.labels or {"ok"}:
            found[label].add(sample.split)
    return found


def test_pictures_belong_where_the_run_put_them_or_their_patches() -> None:
    samples = index_of(
        [
            ("ok", "alone", "test"),
            ("ok", "new", "test"),
            ("ok", "whole", None),
            ("ok", "both", None),
            ("ok", "unheard", None),
        ]
    ).samples
    lines = {
        name: SplitLine(frozenset(), group, split)
        for name, group, split in (
            ("0.png", "alone", "train"),
            ("whole/1.png", "whole", "val"),
            ("whole/2.png", "whole", "val"),
            ("both/1.png", "both", "val"),
            ("both/2.png", "both", "train"),
        )
    }
    assert placed(samples, lines, "test") == ["train", "test", "val", "train", "test"]
    assert placed(samples, {}, "val") == ["test", "test", "val", "val", "val"]


def test_a_run_knows_its_pictures_in_any_unicode_form() -> None:
    samples = index_of([("ok", "g", None)]).samples
    sample = replace(samples[0], name=normalize("NFD", "Prüfteil.png"))
    lines = {normalize("NFC", "Prüfteil.png"): SplitLine(frozenset(), "other", "val")}
    assert placed([sample], lines, "test") == ["val"]


def test_classes_that_look_the_same_are_warned_of() -> None:
    names = [normalize(form, "Blüte") for form in ("NFC", "NFD")]
    index = index_of([(name, f"{name}{n}", None) for name in (*names, "ok") for n in range(3)])
    index = replace(index, classes=tuple(sorted(names)))
    (said,) = [line for line in assign(index).warnings if "count as" in line]
    assert "count as 2 classes, since some letters are in different Unicode forms" in said


many = st.lists(st.tuples(st.sampled_from(["ok", *CLASSES]), st.integers(1, 4)), min_size=1, max_size=60).map(
    lambda groups: [(label, f"g{n}", None) for n, (label, size) in enumerate(groups) for _ in range(size)]
)


@given(samples=many, seed=st.integers(0, 3))
def test_a_class_with_three_groups_is_in_every_split_and_no_group_crosses(
    samples: list[tuple[str, str, None]], seed: int
) -> None:
    index = index_of(samples)
    groups = Counter(label for label, _ in {(label, group) for label, group, _ in samples})
    if not index.classes:
        return
    split = assign(index_of([("ok", "extra", None), *samples]), seed=seed)
    assert split.grouped
    assert not crossing_groups(split.index)
    for label in index.classes:
        if groups[label] >= 3:
            assert where(split)[label] == {"train", "val", "test"}
        else:
            assert "train" in where(split)[label]
            assert any(f"{label} has {groups[label]} group" in warning for warning in split.warnings)


@given(samples=many)
def test_the_draw_does_not_depend_on_the_order_of_the_samples(samples: list[tuple[str, str, None]]) -> None:
    strata = {group: {label} for label, group, _ in samples}
    backwards = dict(reversed(strata.items()))
    assert draw(strata, SHARES, seed=1) == draw(backwards, SHARES, seed=1)


def test_the_seed_decides_the_draw() -> None:
    index = index_of([(label, f"{label}{n}", None) for label in ("ok", "pit") for n in range(20)])
    assert splits_of(assign(index)) == splits_of(assign(index, seed=0))
    assert splits_of(assign(index)) != splits_of(assign(index, seed=1))


def test_the_shares_of_every_class_are_60_15_25() -> None:
    sizes = {"ok": 200, "pit": 40, "crack": 20}
    index = index_of([(label, f"{label}{n}", None) for label, count in sizes.items() for n in range(count)])
    split = assign(index)
    for label, count in sizes.items():
        found = Counter(s.split for s in split.index.samples if s.group.startswith(label))
        assert found == {"train": 0.6 * count, "val": 0.15 * count, "test": 0.25 * count}


def test_pictures_with_several_labels_are_moved_until_every_class_is_everywhere() -> None:
    both = [("crack|pit", f"b{n}", None) for n in range(2)]
    pits, cracks = ([(label, f"{label}{n}", None) for n in range(2)] for label in ("pit", "crack"))
    for seed in range(20):
        split = assign(index_of([*both, *pits, *cracks, ("ok", "c", None)]), seed=seed)
        assert where(split)["pit"] == where(split)["crack"] == {"train", "val", "test"}


def test_overlaps_that_allow_no_such_split_end_in_a_warning() -> None:
    groups = ["a|b|c", "a|b|d", "a|c|d", "b|c|d", "ok"]
    split = assign(index_of([(labels, labels, None) for labels in groups]))
    assert any("none in" in warning for warning in split.warnings)


def test_stated_splits_are_obeyed() -> None:
    samples = [("pit", "a", "test"), ("ok", "b", "val"), ("pit", "c", "train"), ("ok", "d", "train")]
    split = assign(index_of(samples))
    assert [sample.split for sample in split.index.samples] == [s for _, _, s in samples]
    assert split.grouped


def test_a_missing_val_is_drawn_from_train_by_group() -> None:
    train = [(label, f"{label}{n}", "train") for label in ("ok", "pit") for n in range(10) for _ in range(3)]
    test = [("pit", "x", "test"), ("ok", "y", "test")]
    split = assign(index_of([*train, *test]))
    assert split.grouped
    assert {s.group for s in split.index.samples if s.split == "test"} == {"x", "y"}
    groups = {
        label: {s.group for s in split.index.part("val") if label in s.group} for label in ("ok", "pit")
    }
    assert {label: len(found) for label, found in groups.items()} == {"ok": 2, "pit": 2}


def test_a_group_in_two_splits_is_listed_and_makes_figures_leaky() -> None:
    samples = [
        ("pit", "tile 7", "train"),
        ("pit", "tile 7", "test"),
        ("ok", "b", "val"),
        ("ok", "c", "train"),
    ]
    split = assign(index_of(samples))
    assert not split.grouped
    assert any("1 groups lie in two splits" in w and "tile 7: test, train" in w for w in split.warnings)


def test_resplit_redraws_by_group_or_by_picture() -> None:
    samples = [(label, f"{label}{n}", "train") for label in ("ok", "pit") for n in range(8) for _ in range(6)]
    grouped = assign(index_of(samples), resplit="grouped")
    assert grouped.grouped
    assert where(grouped)["pit"] == {"train", "val", "test"}
    random = assign(index_of(samples), resplit="random")
    assert not random.grouped
    assert crossing_groups(random.index)


def test_a_random_split_is_leaky_even_if_no_groups_are_known() -> None:
    index = index_of([(label, f"{label}{n}", None) for label in ("ok", "pit") for n in range(8)])
    assert not assign(index, resplit="random").grouped
    assert any("No groups are known" in warning for warning in assign(index).warnings)


def test_without_a_clean_class_the_classes_are_told_from_each_other() -> None:
    index = index_of([(c, f"{c}{n}", None) for c in CLASSES for n in range(4)], clean=None)
    assert not [w for w in assign(index).warnings if " group" in w and "none in" in w]


def test_names_that_differ_in_case_or_spaces_only_are_told() -> None:
    labels = ("ok", "Crack", "crack ", "pit")
    index = index_of([(c, f"{c}{n}", None) for c in labels for n in range(4)])
    said = [warning for warning in assign(index).warnings if "spell them alike" in warning]
    assert said == ["Crack and crack  count as 2 classes. If they mean the same, spell them alike."]


def test_nothing_to_learn_or_to_train_on_is_refused() -> None:
    with pytest.raises(DataError, match="none is clean"):
        assign(index_of([("pit", "a", None)], clean=None))
    with pytest.raises(DataError, match="No picture in / is in train"):
        assign(index_of([("pit", "a", "test"), ("ok", "b", "val")]))


def test_a_split_is_read_back_as_written(tmp_path: Path) -> None:
    data = labelled(tmp_path / "data", {"a": ("pit|crack", 2), "b c": ("ok", 1), "ü": ("pit", 1)})
    split = assign(read_index(data))
    write_split(split, tmp_path / "split.csv")
    lines = read_split(tmp_path / "split.csv")
    assert {name: (line.labels, line.group, line.split) for name, line in lines.items()} == {
        s.name: (s.labels, s.group, s.split) for s in split.index.samples
    }


@given(
    names=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), min_size=1).filter(str.strip),
        min_size=1,
        max_size=5,
        unique=True,
    )
)
def test_names_of_any_characters_survive(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    samples = tuple(Sample(Path("/a"), name, frozenset(), name, "train") for name in names)
    path = tmp_path_factory.getbasetemp() / "split.csv"
    write_split(Split(Index(Path("/"), samples, (), "ok"), True, ()), path)
    assert [(name, line.group) for name, line in read_split(path).items()] == [(n, n) for n in names]


def test_another_table_is_no_split(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lacks the column"):
        read_split(table(tmp_path / "split.csv", "image,label\n"))


def test_the_splits_of_real_tiles_are_obeyed_or_redrawn_by_group(shared_data: Path) -> None:
    index = read_index(shared_data / "magnetic-tile")
    assert [len(index.part(split)) for split in ("train", "val", "test")] == [728, 232, 384]
    stated, redrawn = assign(index), assign(index, resplit="grouped")
    assert stated.index == index
    assert stated.grouped
    assert redrawn.grouped
    assert all(found == {"train", "val", "test"} for found in where(redrawn).values())
