"""DATA as a list of samples: which pictures there are, and what their labels say."""

import hashlib
import os
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Protocol

from relmask.arrays import ByteArray
from relmask.data.layouts import (
    Entry,
    Found,
    from_csv,
    from_folders,
    from_mvtec,
    is_mvtec,
    labels_of,
    mask_values,
)
from relmask.data.names import composed
from relmask.data.problems import refuse
from relmask.errors import DataError

CLEAN_NAMES = ("ok", "good", "free", "normal", "clean")


class Drawing(Protocol):
    """A mask that is kept as what was drawn."""

    def draw(self, classes: Sequence[str], size: tuple[int, int]) -> ByteArray:
        """(H, W), 0 = background, k = k-th class.

        Raises:
            ImageError: it cannot be drawn at this size, or with these classes.
        """


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled picture.

    Attributes:
        path: absolute path of the picture.
        name: posix path relative to the index's root (without the anchor if it lies elsewhere); unique.
        labels: defect classes in the picture; empty = clean.
        group: pictures of one group (the same part, say) must not cross a split; the name if none is given.
        split: "train", "val", "test", or None if not yet drawn.
        mask: a true mask, a file or what an annotation tool drew; only `data.truth` opens it.
    """

    path: Path
    name: str
    labels: frozenset[str]
    group: str
    split: str | None = None
    mask: Path | Drawing | None = None


@dataclass(frozen=True)
class Index:
    """All samples of DATA, sorted by name.

    Attributes:
        root: folder that names are relative to.
        samples: the pictures.
        classes: defect classes, sorted, without the clean one.
        clean: name of the clean class, or None.
        mask_values: class of each value in a mask, from classes.csv; empty = all that is not black is the one
            label.
        left_out: warnings of files and folders that were left out.
    """

    root: Path
    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    clean: str | None
    mask_values: Mapping[int, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    def part(self, split: str) -> tuple[Sample, ...]:
        """The samples of one split, sorted by name."""
        return tuple(sample for sample in self.samples if sample.split == split)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over names, labels, groups, splits and file sizes: cheap, and another when DATA changed."""
        digest = hashlib.sha256()
        for sample in self.samples:
            size = sample.path.stat().st_size if sample.path.exists() else -1
            said = (sample.name, sorted(sample.labels), sample.group, sample.split, size)
            digest.update(repr(said).encode())
        return digest.hexdigest()


def read_index(data: Path, clean: str | None = None, usual: str | None = None, *, warn: bool = True) -> Index:
    """Read DATA: a CSV; a folder with index.csv; MVTec's layout; else one sub-folder a class.

    No picture is opened; that each exists is checked.

    Args:
        data: file or folder.
        clean: name of the class without defects; without it, `usual` if some picture has it, else the one
            present of ok, good, free, normal, clean (in any case).
        usual: name that a run has for the clean class.
        warn: warn of what is left out; `Index.left_out` says it anyway.

    Raises:
        DataError: no pictures, or problems with their files, labels or splits, all of one kind named at once.
    """
    data = Path(os.path.abspath(data))  # noqa: PTH100 - drops "..", and follows no links
    root, found, values = _found(data)
    entries = found.entries
    if not entries:
        advice = (
            f"No pictures in {data}. Give a CSV (image,label), a folder with such an index.csv, "
            "or a folder with one sub-folder of pictures a class."
        )
        raise DataError("\n".join((*found.left_out, advice)))
    if warn:
        for said in found.left_out:
            warnings.warn(said, stacklevel=2)
    counts = labels_of(entries)
    clean = _clean_name(counts, clean, usual, data)
    if clean and (
        both := [name_of(e.path, root) for e in entries if clean in e.labels and len(e.labels) > 1]
    ):
        refuse(
            f"Pictures in {data} labelled {clean} and a defect",
            both,
            f"Keep {clean} for pictures without a defect, or name another clean class with --clean.",
        )
    samples = sorted((_sample(entry, root, clean) for entry in entries), key=lambda sample: sample.name)
    if same := [one.name for one, two in pairwise(samples) if one.name == two.name]:
        refuse(f"Pictures in and outside of {root} with the same path below it", same, "Move or rename one.")
    classes = tuple(label for label in counts if label != clean)
    spelt = {composed(label): label for label in counts}
    values = {value: spelt.get(composed(label), label) for value, label in values.items()}
    if values.get(0) in classes:
        raise DataError(
            f"{root / 'classes.csv'} names value 0 {values[0]}, but 0 is what has no defect in a mask."
        )
    values = {value: label for value, label in values.items() if value and label != clean}
    return Index(root, tuple(samples), classes, clean, values, found.left_out)


def require_trainable(index: Index) -> None:
    """Check that a classifier could learn something.

    Raises:
        DataError: no defect class, or one class and nothing to tell it from.
    """
    if not index.classes:
        raise DataError(
            f"All pictures in {index.root} are {index.clean}. Add pictures with defects, labelled by class."
        )
    if index.clean is None and all(sample.labels == set(index.classes) for sample in index.samples):
        raise DataError(
            f"All pictures in {index.root} are labelled {' and '.join(index.classes)}, and none is clean. "
            "Add pictures without it; or name the clean class with --clean; or, where there are masks, cut "
            "clean and defective windows out of the pictures with `relmask patches`."
        )


def _found(data: Path) -> tuple[Path, Found, dict[int, str]]:
    try:
        if not data.exists():
            raise DataError(f"{data} does not exist. Give a CSV or a folder with pictures.")
        table = data / "index.csv" if data.is_dir() else data
        if table.is_file():
            return table.parent, from_csv(table), mask_values(table.parent / "classes.csv")
    except OSError as error:
        raise DataError(f"Cannot read {data}: {error.strerror}. Ask for read access.") from error
    found = from_mvtec(data) if is_mvtec(data) else from_folders(data)
    return data, found, mask_values(data / "classes.csv")


def _sample(entry: Entry, root: Path, clean: str | None) -> Sample:
    name = name_of(entry.path, root)
    labels = entry.labels - {clean} if clean else entry.labels
    return Sample(entry.path, name, labels, entry.group or name, entry.split, entry.mask)


def name_of(path: PurePath, root: PurePath) -> str:
    """What a picture is called: its path below the root, or, if it lies elsewhere, from its anchor on."""
    if path.is_relative_to(root):
        return path.relative_to(root).as_posix()
    drive = path.drive.replace(":", "").replace("\\", "/").strip("/")  # two drives may hold the same path
    return "/".join(part for part in (drive, path.relative_to(path.anchor).as_posix()) if part)


def _clean_name(labels: Collection[str], asked: str | None, usual: str | None, data: Path) -> str | None:
    if asked is not None:
        if (label := _spelt_as(asked, labels)) is None:
            raise DataError(f"No picture in {data} is labelled {asked}. Its labels are {_join(labels)}.")
        return label
    if usual is not None and (label := _spelt_as(usual, labels)) is not None:
        return label
    present = [label for label in labels if label.casefold() in CLEAN_NAMES]
    if len(present) > 1:
        raise DataError(
            f"{data} has the labels {_join(present)}. Say with --clean which one means no defect."
        )
    return present[0] if present else None


def _spelt_as(name: str, labels: Collection[str]) -> str | None:
    """The label of that name, or the one that differs from it in its Unicode form only."""
    if name in labels:
        return name
    return next((label for label in labels if composed(label) == composed(name)), None)


def _join(labels: Collection[str]) -> str:
    return ", ".join(sorted(labels))


def label_text(labels: Collection[str], clean: str | None = None) -> str:
    """Labels as a CSV cell: joined by `|`, or the name of the clean class (empty without one)."""
    return "|".join(sorted(labels)) or clean or ""


def with_splits(index: Index, splits: Sequence[str | None]) -> Index:
    """The same index with other splits, one a sample."""
    samples = tuple(replace(s, split=split) for s, split in zip(index.samples, splits, strict=True))
    return replace(index, samples=samples)
