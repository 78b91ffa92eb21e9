"""Files that other programs read and write: masks and relevance as images, and annotation tools' formats.

Each format is a module with `writing` (a context that gives what takes one `Picture` after the other), `read`
(files -> `Annotations`, which are drawn when they are asked for) and `recognises`. Each file is whole or
absent.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from relmask.errors import DataError, UsageError
from relmask.formats import coco, cvat, label_studio, labelme, png, voc, yolo
from relmask.formats.annotation import Annotation, Annotations, Picture, distinct
from relmask.formats.rasters import write_mask, write_relevance

__all__ = [
    "FORMATS",
    "Annotation",
    "Annotations",
    "Format",
    "Picture",
    "distinct",
    "find_formats",
    "format_of",
    "read",
    "write_mask",
    "write_relevance",
]


class Format(Protocol):
    """What every format's module offers."""

    def writing(
        self, folder: Path, classes: Sequence[str], image_root: str
    ) -> AbstractContextManager[Callable[[Picture], None]]:
        """Write masks into a folder, a picture a call; files are complete when the context ends."""

    def recognises(self, path: Path) -> bool:
        """Whether a file or a folder is of this format."""

    def read(self, path: Path) -> Annotations:
        """What a file or a folder says."""


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "png": png,
        "voc": voc,
        "coco": coco,
        "yolo": yolo,
        "labelme": labelme,
        "label-studio": label_studio,
        "cvat": cvat,
    }
)
"""By the name that the command line takes."""

_IN_DOUBT = (
    "cvat",
    "label-studio",
    "coco",
    "labelme",
    "voc",
    "yolo",
    "png",
)  # png takes any folder of images


def find_formats(names: Sequence[str]) -> dict[str, Format]:
    """The formats of these names, each once.

    Raises:
        UsageError: no such format.
    """
    if unknown := [name for name in names if name not in FORMATS]:
        raise UsageError(f"No format {', '.join(unknown)}. There are: {', '.join(FORMATS)}.")
    return {name: FORMATS[name] for name in names}


def format_of(path: Path) -> str:
    """The name of the format of a file or a folder.

    Raises:
        DataError: it does not exist, is packed, or of no known format.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist. Check its spelling.")
    if path.suffix.lower() == ".zip":
        raise DataError(f"{path} is packed. Unpack it, and name the folder.")
    if png.is_segmented(path):
        return "png"
    for name in _IN_DOUBT:
        if FORMATS[name].recognises(path):
            return name
    raise DataError(f"{path} holds no masks in a known format ({', '.join(FORMATS)}).")


def read(path: Path, *, classes: Sequence[str] = ()) -> Annotations:
    """Annotations of a file or a folder in any format.

    Args:
        path: what relmask or an annotation tool wrote, unpacked.
        classes: of the values 1, 2 ... in PNG masks; by default those of classes.csv.

    Raises:
        DataError: it does not exist, is of no known format, or cannot be read.
    """
    name = format_of(path)
    return png.read(path, classes) if name == "png" else FORMATS[name].read(path)
