"""Palette PNG files, one a picture, and classes.csv beside them: relmask's own masks.

masks/<path of the picture>.png    8 bits, 0 = background, k = k-th class
masks/classes.csv                  value,label
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from relmask.data.decoding import SUFFIXES, image_size
from relmask.data.folders import images
from relmask.data.layouts import mask_values
from relmask.data.mask_files import read_values
from relmask.data.tables import Row, read_table
from relmask.errors import DataError, ImageError
from relmask.files import write_csv
from relmask.formats.annotation import Annotation, Annotations, Picture, Region, Size
from relmask.formats.fields import as_number
from relmask.formats.rasters import write_mask
from relmask.masks.colours import class_colours

FOLDER = "masks"
CLASSES = "classes.csv"
TABLE = "results.csv"
_SCORE = "score_"


def write_classes(folder: Path, classes: Sequence[str]) -> None:
    """Write what the values in a folder's masks mean.

    Raises:
        OutError: it cannot be written.
    """
    write_csv(folder / CLASSES, ("value", "label"), enumerate(classes, start=1))


@contextmanager
def writing(folder: Path, classes: Sequence[str], image_root: str) -> Iterator[Callable[[Picture], None]]:
    """Give what writes one picture's file; `image_root` has no place in this format."""
    colours = class_colours(len(classes))
    write_classes(folder, classes)
    yield lambda picture: write_mask(folder / f"{picture.name}.png", picture.mask, colours)


def recognises(path: Path) -> bool:
    """Whether it is an image or a folder with one; so any folder of images counts."""
    return bool(images(path)) if path.is_dir() else path.suffix.lower() in SUFFIXES


def is_segmented(path: Path) -> bool:
    """Whether it is a folder that `segment` wrote, which may hold other formats too."""
    return (path / TABLE).is_file() and (path / FOLDER).is_dir()


def read(path: Path, classes: Sequence[str] = ()) -> Annotations:
    """Masks of a folder, of what `segment` wrote with its scores, or of one file.

    Args:
        path: the folder that holds results.csv, or masks; or one mask.
        classes: of the values 1, 2 ...; by default those of classes.csv, in the folder or above it.

    Raises:
        DataError: nothing says what the values mean.
    """
    known = names_of(path)
    values = dict(enumerate(classes, start=1)) or known
    if is_segmented(path):
        rows = [row for row in read_table(path / TABLE, ("file", "mask")) if row["mask"]]
        found = [_row(path, row, values) for row in rows]
    else:
        folder = path if path.is_dir() else path.parent
        files = images(path) if path.is_dir() else [path]
        found = [_mask(file.relative_to(folder).with_suffix("").as_posix(), file, values) for file in files]
    if not values:
        raise DataError(
            f"Nothing says what the values in {path} mean. Write a classes.csv (value,label) into it, or "
            "name the classes of the values 1, 2 ... with --classes."
        )
    return Annotations(tuple(values[value] for value in sorted(values)), tuple(found))


def names_of(path: Path) -> dict[int, str]:
    """What classes.csv says of the values of the masks at `path`; empty where there is none."""
    folder = path if path.is_dir() else path.parent
    for place in (folder / FOLDER, folder, folder.parent):
        if names := mask_values(place / CLASSES):
            return {value: name for value, name in names.items() if value}
    return {}


def image_of(mask: str, file: str) -> str:
    """Path of a picture below the folder that was segmented, from those of its mask and its own.

    >>> image_of("masks/a/b.png", "parts/a/b.jpg"), image_of("masks/b.jpg.png", "parts/b.jpg")
    ('a/b.jpg', 'b.jpg')
    """
    name = PurePosixPath(mask).relative_to(FOLDER).with_suffix("")
    suffix = "" if name.name == PurePosixPath(file).name else PurePosixPath(file).suffix
    return f"{name}{suffix}"


def segmented(
    out: Path,
    mask: str,
    file: str,
    values: dict[int, str],
    score: float | None = None,
    scores: Mapping[str, float] | None = None,
) -> Annotation:
    """What `segment` found in a picture.

    Args:
        out: its folder.
        mask: path of the mask below it.
        file: the picture.
        values: names of the mask's values.
        score: probability of any defect.
        scores: that of each class.
    """
    place = Path(file)
    found = _mask(image_of(mask, file), out / mask, values)
    return replace(found, score=score, scores=scores or {}, file=place if place.is_file() else None)


def _row(out: Path, row: Row, values: dict[int, str]) -> Annotation:
    labels = {f"{_SCORE}{name}".strip().lower(): name for name in values.values()}
    cells = {labels.get(column, ""): cell for column, cell in row.cells.items() if column in labels and cell}
    scores = {name: score for name, cell in cells.items() if (score := as_number(cell)) is not None}
    if len(scores) < len(cells) or (row["score"] and as_number(row["score"]) is None):
        raise DataError(
            f"{out / TABLE}, line {row.line}: a score is no number. Segment again with --overwrite."
        )
    return segmented(out, row["mask"], row["file"], values, as_number(row["score"]), scores)


def _mask(image: str, mask: Path, values: dict[int, str]) -> Annotation:
    return Annotation(image, partial(_regions, mask, values), partial(image_size, mask))


def _regions(mask: Path, names: dict[int, str], size: Size) -> Iterator[Region]:
    values = read_values(mask, names)
    for value in np.unique(values[values != 0]).tolist():
        if value not in names:
            raise ImageError(
                f"{mask}: the value {value} is no class of {CLASSES}. Correct the one or the other."
            )
        yield Region(names[value], values == value)
