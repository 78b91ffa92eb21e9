"""YOLO's segmentation: a text file a picture, one polygon a line, corners as shares of width and height.

    labels/<name>.txt    class x1 y1 x2 y2 ...; empty where there is no defect
    data.yaml            path, train, val, names

Polygons run along the edges of pixels, so that their even-odd fill at pixel centres is the mask. The format
has no holes: a part with holes is cut into pieces without (see `polygons.without_holes`). Sizes are not in
the files: reading needs the pictures.

Source: docs.ultralytics.com/datasets/segment
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import yaml

from relmask.data.decoding import SUFFIXES
from relmask.errors import DataError
from relmask.files import write_text
from relmask.formats.annotation import Annotation, Annotations, Picture, parts
from relmask.formats.documents import documents, load_yaml, read_text
from relmask.formats.fields import Damaged, as_number, as_score, corners, damage_in, text
from relmask.formats.polygons import fill, without_holes
from relmask.formats.shapes import BoxOnly, Shape, annotation, gather, require_area

_LABELS = "labels"
_TABLES = ("data.yaml", "data.yml", "dataset.yaml")
_LISTS = ("classes.txt", "obj.names")
_NO_LABELS = {"classes.txt", "train.txt", "val.txt", "valid.txt", "test.txt", "default.txt"}
_DIGITS = 8


@contextmanager
def writing(folder: Path, classes: Sequence[str], image_root: str) -> Iterator[Callable[[Picture], None]]:
    """Give what writes one picture's file; `image_root` has no place in this format."""
    table = {"path": ".", "train": "images", "val": "images", "names": dict(enumerate(classes))}
    note = "# Put the pictures into images/, in the same folders as the files in labels/.\n"
    write_text(folder / _TABLES[0], note + yaml.safe_dump(table, allow_unicode=True, sort_keys=False))
    ids = {name: k for k, name in enumerate(classes)}

    def add(picture: Picture) -> None:
        lines = _lines(picture, classes, ids)
        write_text(folder / _LABELS / f"{picture.name}.txt", "".join(lines))

    yield add


def _lines(picture: Picture, classes: Sequence[str], ids: dict[str, int]) -> Iterator[str]:
    height, width = picture.mask.shape
    for region in parts(picture.mask, classes):
        for loop in without_holes(region.inside):
            shares = (loop + np.array([region.left, region.top])) / (width, height)
            yield f"{ids[region.label]} {' '.join(f'{share:.{_DIGITS}g}' for share in shares.ravel())}\n"


def recognises(path: Path) -> bool:
    """Whether it is data.yaml, or a folder with that or classes.txt and text files of labels."""
    return _names_file(path) is not None and bool(_label_files(_root(path))[0])


def read(path: Path) -> Annotations:
    """Polygons of all text files below folders `labels`, or, where there is none, of those that hold numbers.

    Raises:
        DataError: the names of the classes cannot be read.
    """
    root, table = _root(path), _names_file(path) or path
    names = _names(table)
    files, other = _label_files(root)
    left_out = Counter({"text files that hold no labels": other} if other else {})
    found = [_annotation(file, root, partial(_shape, names, table.name), left_out) for file in files]
    return Annotations.of(names.values(), found, left_out)


def _annotation(
    file: Path, root: Path, shape: Callable[[Sequence[str]], Shape], left_out: Counter[str]
) -> Annotation:
    image = _picture_of(file.relative_to(root))
    try:
        lines = read_text(file).splitlines()
    except DataError as error:
        return Annotation.unreadable(image, str(error))
    items = [
        (f"{file}, line {number}", words)
        for number, line in enumerate(lines, start=1)
        if (words := line.split())
    ]
    return annotation(image, gather(items, shape, left_out))


def _root(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _label_files(root: Path) -> tuple[list[Path], int]:
    """Text files that hold labels, and how many others there are where labels have no folder of their own."""
    files = [
        file
        for file in documents(root, ".txt")
        if file.name not in _NO_LABELS and not file.name.lower().startswith("readme")
    ]
    below = files if root.name == _LABELS else [f for f in files if _LABELS in f.relative_to(root).parts[:-1]]
    if below:
        return below, 0
    labels = [file for file in files if _holds_numbers(file) or _is_beside_picture(file)]
    return labels, len(files) - len(labels)


def _holds_numbers(file: Path) -> bool:
    """Whether the first line, if any, is of numbers alone."""
    try:
        words = read_text(file).split("\n", 1)[0].split()
    except DataError:
        return False
    return all(as_number(word) is not None for word in words)


def _is_beside_picture(file: Path) -> bool:
    return any(file.with_suffix(suffix).is_file() for suffix in SUFFIXES)


def _picture_of(file: Path) -> str:
    """The picture of labels/a.txt is a, and that of train/labels/a.txt is train/images/a."""
    *folders, name = file.with_suffix("").parts
    if folders[:1] == [_LABELS]:
        folders = folders[1:]
    return "/".join(["images" if folder == _LABELS else folder for folder in folders] + [name])


def _names_file(path: Path) -> Path | None:
    if not path.is_dir():
        return path if path.suffix.lower() in (".yaml", ".yml") else None
    places = [path, path.resolve().parent] if path.name == _LABELS else [path]
    return next(
        (place / name for place in places for name in (*_TABLES, *_LISTS) if (place / name).is_file()), None
    )


def _names(table: Path) -> dict[int, str]:
    """The names of the classes by their numbers.

    Raises:
        DataError: they cannot be read, or the labels are of key points.
    """
    if table.name in _LISTS:
        return {k: name.strip() for k, name in enumerate(read_text(table).splitlines()) if name.strip()}
    content = load_yaml(table)
    with damage_in(table, "table of YOLO's classes"):
        names = content.get("names") if isinstance(content, dict) else None
        if isinstance(names, list):
            names = dict(enumerate(names))
        if not isinstance(names, dict):
            raise Damaged("`names` should be a list of the classes, or their numbers with their names")
        if "kpt_shape" in content:
            raise Damaged("its labels are key points, and no masks")
        found = {}
        for k, name in names.items():
            if isinstance(name, bool) or not isinstance(name, str | int | float):
                raise Damaged(f"class {k} has no name; put quotes around yes, no and null")
            value = as_number(k)
            if value is None or not value.is_integer():
                raise Damaged("`names` should be a list of the classes, or their numbers with their names")
            found[int(value)] = text({"name": name}, "name")
    return found


def _shape(names: dict[int, str], table: str, words: Sequence[str]) -> Shape:
    """The polygon of a line; detectors put how sure they are behind the corners."""
    values = [as_number(word) for word in words]
    k, *coordinates = values
    if k is None or None in coordinates:
        raise Damaged("it should read: class x1 y1 x2 y2 x3 y3 ...")
    if k not in names:
        raise Damaged(f"class {words[0]} is none of {table}")
    if len(coordinates) in (4, 5):
        raise BoxOnly
    if len(coordinates) < 6:
        raise Damaged("a polygon needs three corners: class x1 y1 x2 y2 x3 y3 ...")
    score = coordinates.pop() if len(coordinates) % 2 else None
    if score is not None and as_score(score) is None:
        raise Damaged(
            f"{len(coordinates) + 1} numbers are no pairs, and the last is no confidence from 0 to 1"
        )
    loop = corners(coordinates)
    if loop.min() < -1 or loop.max() > 2:
        raise Damaged("corners should be shares of width and height, from 0 to 1, and these are not")
    require_area(loop)
    return Shape(names[int(k)], lambda size: fill([loop * (size[1], size[0])], size), score)
