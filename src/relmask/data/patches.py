"""Labelled windows, cut out of pictures whose masks are known."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePath
from typing import NamedTuple

import numpy as np
import tifffile
from PIL import Image

from relmask.arrays import ByteArray, Pixels
from relmask.data.decoding import read_pixels
from relmask.data.index import Index, Sample, label_text, read_index
from relmask.data.problems import refuse
from relmask.data.tiles import Window, windows
from relmask.data.truth import has_truth, missing_masks, read_truth, warn_of_missing_masks
from relmask.errors import DataError, ImageError, UnwritableName, UsageError
from relmask.files import whole, write_csv, writing
from relmask.out import Contents, prepared
from relmask.progress import Progress, silent

CLEAN = "ok"
_PICTURES = "patches"
_LONGEST_NAME = 255 - len("_y123456_x123456.png")
"""Bytes of a picture's name, of the 255 that file systems take, that leave room for where a patch lies."""
CONTENTS = Contents(
    "patches", "patches.json", ("index.csv", f"{_PICTURES}/**/*.png", f"{_PICTURES}/**/*.tif"), alone=True
)


@dataclass(frozen=True, slots=True)
class Grid:
    """Where patches are cut, and when one counts as defective.

    Attributes:
        size: side of a patch in pixels.
        stride: step from patch to patch, at most the size.
        min_defect: fewest pixels of a class that make a patch defective.
    """

    size: int
    stride: int
    min_defect: int

    def __post_init__(self) -> None:
        if self.size < 8:
            raise UsageError(f"--size must be 8 or more, got {self.size}.")
        if not 1 <= self.stride <= self.size:
            raise UsageError(f"--stride must be from 1 to the size {self.size}, got {self.stride}.")
        if not 1 <= self.min_defect <= self.size**2:
            raise UsageError(
                f"--min-defect must be from 1 to the {self.size**2} pixels of a patch, got {self.min_defect}."
            )


@dataclass(frozen=True)
class Patches:
    """The patches that were cut, and the pictures that gave none.

    Attributes:
        out: the folder, usable as DATA.
        labels: patches with each label (several joined by `|`).
        splits: patches in each split; empty if DATA states none.
        dropped: windows with too few defect pixels to be defective, and too many to be clean.
        small: names of pictures smaller than a patch.
        unmasked: names of defective pictures without a mask.
        failed: why pictures or masks could not be read, by name.
    """

    out: Path
    labels: dict[str, int]
    splits: dict[str, int]
    dropped: int
    small: tuple[str, ...]
    unmasked: tuple[str, ...]
    failed: dict[str, str]


class _Row(NamedTuple):
    image: str
    label: str
    group: str
    split: str


@dataclass
class _Tally:
    rows: list[_Row] = field(default_factory=list)
    dropped: int = 0
    small: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def cut_patches(
    data: Path,
    out: Path,
    size: int,
    *,
    stride: int | None = None,
    min_defect: int | None = None,
    clean: str | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Patches:
    """Cut square patches out of DATA and label them by its masks.

    A patch's labels are the classes with at least `min_defect` pixels in it. Without a defect pixel it is
    clean; with a class that has some, but fewer, it is dropped. Group and split are those of its picture.
    OUT becomes a data set of patches/ and index.csv (image,label,group[,split]), without masks. Pixels stay
    as they are, in 8-bit PNG or, where they hold more, in TIFF. What an interrupted cut wrote is used again.

    Args:
        data: CSV or folder as `read_index` takes it, with masks.
        out: folder for the patches.
        size: side of a patch in pixels.
        stride: step from patch to patch; by default they lie side by side.
        min_defect: fewest pixels of a class that make a patch defective; by default half the side.
        clean: name of the clean class of DATA; clean patches get it too, or "ok" where there is none.
        overwrite: replace patches that were cut with other settings.
        progress: told after every picture.

    Raises:
        UsageError: sizes out of range.
        DataError: no masks, or no picture as large as a patch.
        OutError: OUT holds something else, or cannot be written.
    """
    grid = Grid(
        size, size if stride is None else stride, max(1, size // 2) if min_defect is None else min_defect
    )
    index = read_index(data, clean)
    known = [sample for sample in index.samples if has_truth(sample)]
    if not any(sample.labels for sample in known):
        advice = "\n".join(missing_masks(index.samples)) or "Name masks in its index.csv, column mask."
        raise DataError(f"No defective picture in {index.root} has a mask. {advice}")
    warn_of_missing_masks(index.samples)
    clean = index.clean or CLEAN
    settings = {**asdict(grid), "clean": clean, "data": index.fingerprint}
    with prepared(out, CONTENTS, settings, overwrite=overwrite):
        tally = _Tally()
        for done, (sample, base) in enumerate(_bases(known), start=1):
            try:
                _cut(sample, index, grid, base, clean, out, tally)
            except (ImageError, UnwritableName) as error:
                tally.failed[sample.name] = str(error)
            progress("cutting", done, len(known))
        if not tally.rows:
            if tally.failed:
                refuse(
                    f"No patches of {size} pixels in {index.root}: {len(tally.small)} pictures are smaller, "
                    "and others, or their masks, cannot be used",
                    list(tally.failed.values()),
                    "Correct these, or choose a smaller --size.",
                )
            raise DataError(
                f"No patches of {size} pixels in {index.root}: {len(tally.small)} pictures are smaller, and "
                f"in {tally.dropped} windows a defect is smaller than --min-defect. Choose smaller ones."
            )
        stated = all(row.split for row in tally.rows)
        columns = _Row._fields if stated else _Row._fields[:-1]
        write_csv(out / "index.csv", columns, (row[: len(columns)] for row in tally.rows))
    return Patches(
        out=out,
        labels=dict(sorted(Counter(row.label for row in tally.rows).items())),
        splits=dict(Counter(row.split for row in tally.rows)) if stated else {},
        dropped=tally.dropped,
        small=tuple(tally.small),
        unmasked=tuple(sample.name for sample in index.samples if not has_truth(sample)),
        failed=tally.failed,
    )


def label_window(truth: ByteArray, least: int, classes: tuple[str, ...]) -> frozenset[str] | None:
    """Labels of a window of true classes; empty = clean, None = fewer than `least` of a class.

    Example:
        >>> label_window(np.uint8([[0, 1], [1, 0]]), 2, ("crack", "pit"))
        frozenset({'crack'})
    """
    counts = np.bincount(truth.ravel(), minlength=len(classes) + 1)[1:]
    if ((counts > 0) & (counts < least)).any():
        return None
    return frozenset(label for label, count in zip(classes, counts, strict=True) if count)


def _bases(samples: list[Sample]) -> Iterator[tuple[Sample, str]]:
    """Each sample with the beginning of its patches' names: without suffix where that tells them apart."""
    paths = [Path(sample.name) for sample in samples]
    stems = Counter(path.with_suffix("") for path in paths)
    for sample, path in zip(samples, paths, strict=True):
        base = path.with_suffix("") if stems[path.with_suffix("")] == 1 else path
        yield sample, f"{_PICTURES}/{base.as_posix()}"


def _cut(sample: Sample, index: Index, grid: Grid, base: str, clean: str, out: Path, tally: _Tally) -> None:
    if len(os.fsencode(PurePath(base).name)) > _LONGEST_NAME:
        raise ImageError(f"{sample.path}: its name is too long to become that of a patch. Shorten it.")
    truth = read_truth(sample, index)
    if min(truth.shape) < grid.size:
        tally.small.append(sample.name)
        return
    pixels: Pixels | None = None
    rows: list[_Row] = []
    dropped = 0
    height, width = truth.shape
    for window in windows(height, width, grid.size, grid.stride):
        labels = label_window(truth[window.inside(grid.size)], grid.min_defect, index.classes)
        if labels is None:
            dropped += 1
            continue
        name = f"{base}_y{window.top}_x{window.left}"
        if (found := _existing(out, name)) is None:
            pixels = read_pixels(sample.path) if pixels is None else pixels
            found = _save(out, name, pixels[window.inside(grid.size)])
        rows.append(_Row(found, label_text(labels, clean), sample.group, sample.split or ""))
    tally.rows += rows
    tally.dropped += dropped


def _existing(out: Path, name: str) -> str | None:
    with writing(out / name):  # a name that is too long cannot even be looked for
        return next((name + suffix for suffix in (".png", ".tif") if (out / (name + suffix)).is_file()), None)


def _save(out: Path, name: str, pixels: Pixels) -> str:
    name += ".png" if pixels.dtype == np.uint8 else ".tif"
    with whole(out / name) as part:
        if pixels.dtype == np.uint8:
            Image.fromarray(pixels).save(part)
        else:
            photometric = "rgb" if pixels.ndim == 3 else "minisblack"
            tifffile.imwrite(part, pixels, photometric=photometric, compression="zlib")
    return name


def place_of(name: str) -> tuple[str, Window] | None:
    """The picture that a patch was cut out of, and where; None for a name that `cut_patches` does not give.

    >>> place_of("patches/images/001_y48_x0.png")
    ('patches/images/001', Window(top=48, left=0))
    """
    found = re.fullmatch(r"(.+)_y(\d+)_x(\d+)\.(?:png|tif)", name)
    return (found[1], Window(int(found[2]), int(found[3]))) if found else None


def patch_size(data: Path) -> int | None:
    """Side in pixels of the patches in a folder that `cut_patches` made; None for any other DATA."""
    path = data / CONTENTS.settings
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["size"]) if path.is_file() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
