"""YOLO's segmentation: a text file a picture, one polygon a line, corners as shares of width and height.

    labels/<name>.txt    class x1 y1 x2 y2 ...; empty where there is no defect
    data.yaml            path, train, val, names

Polygons run along the edges of pixels, so that their even-odd fill at pixel centres is the mask. The format
has no holes: a part with holes is cut into pieces without (see `polygons.without_holes`). Sizes are not in
the files: reading needs the pictures.

Source: docs.ultralytics.com/datasets/segment
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import yaml

from relmask.errors import DataError
from relmask.files import write_text
from relmask.formats.annotation import Annotation, Annotations, Picture, Region, Size, parts
from relmask.formats.polygons import fill, without_holes

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
    return _names_file(path) is not None and bool(_label_files(_root(path)))


def read(path: Path) -> Annotations:
    """Polygons of all text files in `labels`, or in the folder itself.

    Raises:
        DataError: the names of the classes, or a line, cannot be read.
    """
    names = _names(_names_file(path) or path)
    found = []
    for file in _label_files(_root(path)):
        objects = _objects(file, names)
        image = file.relative_to(_labels_of(_root(path))).with_suffix("").as_posix()
        labels = frozenset(label for label, _ in objects)
        found.append(Annotation(image=image, regions=partial(_regions, objects), labels=labels))
    return Annotations.of(names.values(), found)


def _root(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _labels_of(folder: Path) -> Path:
    return folder / _LABELS if (folder / _LABELS).is_dir() else folder


def _label_files(folder: Path) -> list[Path]:
    return [path for path in sorted(_labels_of(folder).rglob("*.txt")) if path.name not in _NO_LABELS]


def _names_file(path: Path) -> Path | None:
    if path.is_dir():
        return next((path / name for name in (*_TABLES, *_LISTS) if (path / name).is_file()), None)
    return path if path.suffix.lower() in (".yaml", ".yml") else None


def _names(path: Path) -> dict[int, str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.name in _LISTS:
            return dict(enumerate(text.splitlines()))
        names = yaml.safe_load(text)["names"]
        pairs = names.items() if isinstance(names, dict) else enumerate(names)
        return {int(k): str(name) for k, name in pairs}
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise DataError(f"{path} does not tell the names of the classes ({error}).") from error


def _objects(file: Path, names: dict[int, str]) -> list[tuple[str, list[float]]]:
    objects = []
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read ({error}).") from error
    for number, line in enumerate(lines, start=1):
        try:
            k, *values = line.split() or [""]
            corners = [float(value) for value in values]
            if k and (len(corners) < 6 or len(corners) % 2):
                raise ValueError("a polygon needs three corners or more; a box is no mask")
            if k:
                objects.append((names[int(k)], corners))
        except (ValueError, KeyError) as error:
            raise DataError(
                f"{file}, line {number}: {error}. It should read: class x1 y1 x2 y2 x3 y3 ..."
            ) from error
    return objects


def _regions(objects: Sequence[tuple[str, list[float]]], size: Size) -> Iterator[Region]:
    for label, corners in objects:
        yield Region(label, *fill([np.reshape(corners, (-1, 2)) * (size[1], size[0])], size))
