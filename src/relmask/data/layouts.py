"""The ways in which people keep labelled pictures: a CSV, MVTec's folders, a folder a class."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from relmask.data.folders import Contents, contents, images, left_out
from relmask.data.names import Finder, absent, composed, is_text
from relmask.data.problems import listed, refuse
from relmask.data.tables import Row, read_table
from relmask.errors import DataError

_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A picture as DATA states it; `labels` still holds the name of the clean class."""

    path: Path
    labels: frozenset[str]
    group: str = ""
    split: str | None = None
    mask: Path | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Pictures of DATA, and warnings of what was left out."""

    entries: tuple[Entry, ...]
    left_out: tuple[str, ...] = ()


def from_csv(table: Path) -> Found:
    """Pictures of a CSV with the columns image,label[,group][,split][,mask]; paths are relative to it.

    Raises:
        DataError: names every kind of problem with its lines: no label, no such file, a picture twice,
            an unknown split, a cell of several lines.
    """
    entries: list[Entry] = []
    problems: list[str] = []
    first: dict[Path, int] = {}
    find = Finder()
    rows = read_table(table, ("image", "label"))
    has_splits = any(row["split"] for row in rows)
    for row in rows:
        entry = Entry(
            path=_located(table.parent, row["image"], find),
            labels=split_labels(row["label"]),
            group=row["group"],
            split=_SPLITS.get(row["split"].lower()),
            mask=_located(table.parent, row["mask"], find) if row["mask"] else None,
        )
        problems += [f"line {row.line}: {problem}" for problem in _wrong(row, entry, has_splits)]
        if entry.path in first and row["image"]:
            problems.append(f"line {row.line}: {row['image']} is already on line {first[entry.path]}")
        first.setdefault(entry.path, row.line)
        entries.append(entry)
    if problems:
        refuse(
            f"Problems in {table}",
            problems,
            f"Correct the lines. Paths are relative to {table.parent}; a picture has one row, its labels "
            "joined by |; split is train, val or test, for all rows or none.",
        )
    return Found(tuple(entries))


def _wrong(row: Row, entry: Entry, has_splits: bool) -> Iterable[str]:
    for column in ("image", "label", "group", "mask"):
        if not is_text(row[column]):
            yield f"the {column} {row[column][:40]!r} has a line break, or what is no text"
    if not row["image"]:
        yield "no image"
    elif is_text(row["image"]) and (reason := absent(entry.path)):
        yield f"{row['image']}: {reason}"
    if not entry.labels:
        yield "no label"
    if row["split"] and entry.split is None:
        yield f"split {row['split']!r} is none of train, val, test"
    if has_splits and not row["split"]:
        yield "no split, while other lines have one"


def _located(root: Path, cell: str, find: Finder) -> Path:
    path = find(root / cell)
    if "\\" in cell and absent(path):
        path = find(root / cell.replace("\\", "/"))
    return Path(os.path.abspath(path))  # noqa: PTH100 - drops "..", and follows no links


def split_labels(cell: str) -> frozenset[str]:
    """Labels of a cell such as `crack|pit`."""
    return frozenset(label for part in cell.split("|") if (label := part.strip()))


def mask_values(table: Path) -> dict[int, str]:
    """Label of each value in masks, from a classes.csv (value,label); empty where there is no such file.

    Raises:
        DataError: a value that is no number from 0 to 65535 or is named twice, or no label.
    """
    if not table.exists():
        return {}
    values: dict[int, str] = {}
    problems = []
    for row in read_table(table, ("value", "label")):
        value = int(row["value"]) if row["value"].isdecimal() else -1
        if not 0 <= value <= 65535:
            problems.append(f"line {row.line}: value {row['value']!r} is no whole number from 0 to 65535")
        elif value in values:
            problems.append(f"line {row.line}: value {value} is named twice")
        elif not row["label"]:
            problems.append(f"line {row.line}: value {value} has no label")
        values[value] = row["label"]
    if problems:
        refuse(f"Problems in {table}", problems, "Give each value of the masks one label.")
    return values


def is_mvtec(folder: Path) -> bool:
    """Whether `folder` has the layout of MVTec's data sets: train/good beside test."""
    return (folder / "train" / "good").is_dir() and (folder / "test").is_dir()


def from_mvtec(folder: Path) -> Found:
    """Pictures of train/*, test/* and, where there is one, validation/*, with the masks of ground_truth/*.

    None has a split: all defective pictures lie in test, so the split that the folders suggest could train no
    classifier.
    """
    truth = folder / "ground_truth"
    masks = {_mask_key(path.relative_to(truth)): path for path in images(truth)}
    entries, warnings, loose, used = [], [], [], set[str]()
    for part in ("train", "validation", "test"):
        found = contents(folder / part)
        for path in found.pictures:
            below = path.relative_to(folder / part)
            if len(below.parts) == 1:
                loose.append(f"{part}/{below}")
                continue
            mask = masks.get(_key(below)) if part == "test" else None
            if mask:
                used.add(_key(below))
            entries.append(Entry(path, split_labels(below.parts[0]), mask=mask))
        warnings += left_out(folder, found, _bare(folder / part, found, 1))
    if loose:
        warnings.append(
            f"Pictures in {folder} without a class, which are left out ({len(loose)}):\n{listed(loose)}\n"
            "Move each into the folder of its class."
        )
    if unused := [path.relative_to(folder).as_posix() for key, path in masks.items() if key not in used]:
        warnings.append(
            f"Masks in {folder} without a picture in test ({len(unused)}):\n{listed(unused)}\n"
            "Name each as its picture, with or without _mask."
        )
    return _legible(folder, entries, warnings)


def _key(below: Path) -> str:
    return composed(below.with_suffix("").as_posix())


def _mask_key(below: Path) -> str:
    return _key(below.with_name(below.stem.removesuffix("_mask")))


def from_folders(folder: Path) -> Found:
    """Pictures of a folder with one sub-folder a class, or with train, val and test folders of such folders.

    Raises:
        DataError: pictures that lie in no class's folder, or folders that look like something else.
    """
    found = contents(folder)
    parts = [path.relative_to(folder).parts for path in found.pictures]
    tops = {part[0] for part in parts if len(part) > 1}
    named = {path.name for path in found.folders if path.parent == folder and path.name.lower() in _SPLITS}
    by_split = len(named) > 1 and tops <= named
    depth = 2 if by_split else 1
    if loose := ["/".join(part) for part in parts if len(part) <= depth]:
        refuse(
            f"Pictures in {folder} without a class",
            loose,
            "Move each into a folder named after its class, or write an index.csv (image,label) beside them.",
        )
    if not by_split:
        _suspect(folder, tops)
    entries = [
        Entry(path, split_labels(part[depth - 1]), split=_SPLITS[part[0].lower()] if by_split else None)
        for path, part in zip(found.pictures, parts, strict=True)
    ]
    return _legible(folder, entries, left_out(folder, found, _bare(folder, found, depth)))


def _bare(folder: Path, found: Contents, depth: int) -> set[Path]:
    """Folders down to a depth that ought to hold pictures and hold none; not those inside of others."""
    parents = {picture.parent for picture in found.pictures}
    held = {above for parent in parents for above in (parent, *parent.parents)}
    bare = {
        path for path in found.folders if len(path.relative_to(folder).parts) <= depth and path not in held
    }
    return {path for path in bare if path.parent not in bare}


def _legible(folder: Path, entries: Sequence[Entry], warnings: Sequence[str]) -> Found:
    """All that was found but for pictures whose names no table can hold, which get a warning."""
    odd = {
        entry: repr(name)
        for entry in entries
        if not is_text(name := entry.path.relative_to(folder).as_posix()) or not entry.labels
    }
    if not odd:
        return Found(tuple(entries), tuple(warnings))
    said = (
        f"Names in {folder} that no table can hold; the pictures are left out ({len(odd)}):\n"
        f"{listed(list(odd.values()))}\nRename them in valid UTF-8, on one line; a class needs a letter."
    )
    return Found(tuple(entry for entry in entries if entry not in odd), (*warnings, said))


def _suspect(folder: Path, tops: Iterable[str]) -> None:
    names = {name.lower() for name in tops}
    if "images" in names and names & {"masks", "mask", "labels", "annotations", "ground_truth"}:
        raise DataError(
            f"{folder} holds images beside masks, not one folder a class. "
            f"Write {folder / 'index.csv'} with the columns image,label,mask."
        )
    if categories := [name for name in sorted(tops) if is_mvtec(folder / name)]:
        raise DataError(
            f"{folder} holds several data sets in MVTec's layout. Choose one:\n{listed(categories)}"
        )


def labels_of(entries: Iterable[Entry]) -> Mapping[str, int]:
    """How many pictures carry each label."""
    counts: dict[str, int] = {}
    for entry in entries:
        for label in entry.labels:
            counts[label] = counts.get(label, 0) + 1
    return dict(sorted(counts.items()))
