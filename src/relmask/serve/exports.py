"""Masks that a person accepted, packed in a format of an annotation tool."""

import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import IO

import numpy as np

from relmask.arrays import ByteArray
from relmask.errors import UsageError
from relmask.formats import Picture, distinct, find_formats
from relmask.formats.runs import drawn, from_text
from relmask.serve.schemas import Accepted
from relmask.serve.temporary import temporary_folder

LONGEST_NAME = 240
"""Bytes of a file's or folder's name; most disks take 255, and formats add a suffix."""


def pack(name: str, accepted: Sequence[Accepted], classes: Sequence[str]) -> IO[bytes]:
    """A zip file, open at its beginning, that is gone when it is closed.

    Args:
        name: name of the format.
        accepted: pictures with their masks.
        classes: classes of the run.

    Raises:
        UsageError: no such format or class, a name that leads out of the folder or is too long, or damaged
            run lengths.
        OutError: temporary files cannot be written.
    """
    [format_] = find_formats([name]).values()
    images = [_safe(picture.name) for picture in accepted]
    if len(set(images)) < len(images):
        raise UsageError("Two pictures have the same name.")
    with temporary_folder() as folder:
        with format_.writing(folder, classes, "") as write:
            for picture, image, plain in zip(accepted, images, distinct(images), strict=True):
                mask = _mask(picture, classes)
                write(Picture(image, plain, mask, score=picture.score, scores=picture.scores))
        packed = tempfile.TemporaryFile(prefix="relmask-")  # noqa: SIM115 - the caller closes it
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(folder).as_posix())
        packed.seek(0)
    return packed


def _safe(name: str) -> str:
    """The name as a path below some folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    parts = [part for part in path.parts if part != "/"]
    if not parts or ".." in parts or ":" in parts[0] or not name.isprintable():
        raise UsageError(f"{name!r} cannot be exported: it is not the path of an image below a folder.")
    if any(len(part.encode()) > LONGEST_NAME for part in parts):
        raise UsageError(f"{name} cannot be exported: the name is too long. Rename the image.")
    return "/".join(parts)


def _mask(picture: Accepted, classes: Sequence[str]) -> ByteArray:
    mask = np.zeros((picture.height, picture.width), np.uint8)
    for runs in picture.rle:
        if runs.label not in classes:
            raise UsageError(f"{picture.name}: the run knows no class {runs.label!r}.")
        if not runs.counts.isascii() or runs.size != (picture.height, picture.width):
            raise UsageError(
                f"{picture.name}: the run lengths of {runs.label} are damaged, or of another image."
            )
        try:
            inside = drawn(from_text(runs.counts), (picture.width, picture.height)).T
        except ValueError as error:
            raise UsageError(f"{picture.name}: {error}.") from error
        mask[inside] = classes.index(runs.label) + 1
    return mask
