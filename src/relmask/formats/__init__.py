"""Files that other programs read and write: masks and relevance as images, and annotation tools' formats.

Each format is a module with `writing` (a context that gives what takes one `Picture` after the other), `read`
(files -> `Annotations`, which are drawn when they are asked for), and what tells it from others: `recognises`
for files and folders, `describes` for the content of JSON. Each file is whole or absent.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from relmask.errors import DataError, UsageError
from relmask.formats import coco, cvat, label_studio, labelme, png, voc, yolo
from relmask.formats.annotation import Annotation, Annotations, Picture, below, distinct
from relmask.formats.documents import documents, load
from relmask.formats.rasters import write_mask, write_relevance

__all__ = [
    "FORMATS",
    "Annotation",
    "Annotations",
    "Format",
    "Picture",
    "below",
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

    def read(self, path: Path) -> Annotations:
        """All that a file or a folder says; what has no area is counted, what is damaged fails its picture.

        Raises:
            DataError: nothing can be read.
        """


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

_BY_PLACE: Mapping[str, Callable[[Path], bool]] = {
    "voc": voc.recognises,
    "yolo": yolo.recognises,
    "png": png.recognises,
}
"""Formats that files and folders tell; PNG takes any folder of images, so it comes last."""

_BY_CONTENT: Mapping[str, Callable[[object], bool]] = {
    "label-studio": label_studio.describes,
    "coco": coco.describes,
    "labelme": labelme.describes,
}
"""Formats that what a JSON file holds tells."""


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
    if cvat.recognises(path):
        return "cvat"
    damaged: list[str] = []
    for file in documents(path):  # the first that is in any of the formats decides
        try:
            content = load(file)
        except DataError as error:
            damaged.append(str(error))
        else:
            for name, describes in _BY_CONTENT.items():
                if describes(content):
                    return name
    for name, recognises in _BY_PLACE.items():
        if recognises(path):
            return name
    raise DataError(
        "\n".join([f"{path} holds no masks in a known format ({', '.join(FORMATS)}).", *damaged[:1]])
    )


def read(path: Path, *, classes: Sequence[str] = ()) -> Annotations:
    """Annotations of a file or a folder in any format; a warning counts what was left out.

    Args:
        path: what relmask or an annotation tool wrote, unpacked.
        classes: of the values 1, 2 ... in PNG masks; by default those of classes.csv.

    Raises:
        DataError: it does not exist, is of no known format, or cannot be read.
    """
    name = format_of(path)
    found = png.read(path, classes) if name == "png" else FORMATS[name].read(path)
    found.warn(path)
    return found
