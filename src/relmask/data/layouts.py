"""The ways in which people keep labelled pictures: a CSV, MVTec's folders, a folder a class."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from relmask.data.decoding import SUFFIXES
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


def from_csv(table: Path) -> list[Entry]:
    """Entries of a CSV with the columns image,label[,group][,split][,mask]; paths are relative to it.

    Raises:
        DataError: names every kind of problem with its lines: no label, no such file, a picture twice,
            an unknown split.
    """
    entries: list[Entry] = []
    problems: list[str] = []
    first: dict[Path, int] = {}
    rows = read_table(table, ("image", "label"))
    has_splits = any(row["split"] for row in rows)
    for row in rows:
        entry = Entry(
            path=_located(table.parent, row["image"]),
            labels=split_labels(row["label"]),
            group=row["group"],
            split=_SPLITS.get(row["split"].lower()),
            mask=_located(table.parent, row["mask"]) if row["mask"] else None,
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
    return entries


def _wrong(row: Row, entry: Entry, has_splits: bool) -> Iterable[str]:
    if not row["image"]:
        yield "no image"
    elif reason := _absent(entry.path):
        yield f"{row['image']}: {reason}"
    if not entry.labels:
        yield "no label"
    if row["split"] and entry.split is None:
        yield f"split {row['split']!r} is none of train, val, test"
    if has_splits and not row["split"]:
        yield "no split, while other lines have one"


def _absent(path: Path) -> str:
    try:
        return "" if path.is_file() else "a folder" if path.is_dir() else "no such file"
    except OSError as error:
        return error.strerror or str(error)


def _located(root: Path, cell: str) -> Path:
    path = root / cell
    if "\\" in cell and _absent(path):
        path = root / cell.replace("\\", "/")
    return Path(os.path.abspath(path))  # noqa: PTH100 - drops "..", and follows no links


def split_labels(cell: str) -> frozenset[str]:
    """Labels of a cell such as `crack|pit`."""
    return frozenset(label for part in cell.split("|") if (label := part.strip()))


def mask_values(table: Path) -> dict[int, str]:
    """What classes.csv (value,label) says about the values in masks; empty where there is no such file.

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


def from_mvtec(folder: Path) -> list[Entry]:
    """Entries of train/* and test/*, with the masks of ground_truth/*; none has a split.

    All defective pictures lie in test, so the split that the folders suggest could train no classifier.
    """
    masks = {
        _mask_key(path.relative_to(folder / "ground_truth")): path for path in images(folder / "ground_truth")
    }
    entries = []
    for part in ("train", "test"):
        for path in images(folder / part):
            below = path.relative_to(folder / part)
            if len(below.parts) > 1:
                mask = masks.get(below.with_suffix("")) if part == "test" else None
                entries.append(Entry(path, split_labels(below.parts[0]), mask=mask))
    return entries


def _mask_key(below: Path) -> Path:
    return below.with_name(below.stem.removesuffix("_mask"))


def from_folders(folder: Path) -> list[Entry]:
    """Entries of a folder with one sub-folder a class, or with train, val and test folders of such folders.

    Raises:
        DataError: pictures that lie in no class's folder, or folders that look like something else.
    """
    found = [(path, path.relative_to(folder).parts) for path in images(folder)]
    tops = {parts[0] for _, parts in found if len(parts) > 1}
    by_split = len(tops) > 1 and all(top.lower() in _SPLITS for top in tops)
    depth = 2 if by_split else 1
    if loose := ["/".join(parts) for _, parts in found if len(parts) <= depth]:
        refuse(
            f"Pictures in {folder} without a class",
            loose,
            "Move each into a folder named after its class, or write an index.csv (image,label) beside them.",
        )
    if not by_split:
        _suspect(folder, tops)
    return [
        Entry(path, split_labels(parts[depth - 1]), split=_SPLITS[parts[0].lower()] if by_split else None)
        for path, parts in found
    ]


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


def images(folder: Path) -> list[Path]:
    """Picture files anywhere below `folder`, sorted; hidden ones are left out.

    Raises:
        DataError: a folder may not be read.
    """
    refused: list[str] = []
    found: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=lambda error: refused.append(_refusal(error))):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(parent, name)
            for name in files
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
        ]
    if refused and folder.exists():
        refuse(f"Folders in {folder} that cannot be read", refused, "Ask for read access, or move them away.")
    return sorted(found)


def _refusal(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}"


def labels_of(entries: Iterable[Entry]) -> Mapping[str, int]:
    """How many pictures carry each label."""
    counts: dict[str, int] = {}
    for entry in entries:
        for label in entry.labels:
            counts[label] = counts.get(label, 0) + 1
    return dict(sorted(counts.items()))
