"""Masks that a person corrected, brought back to the pictures of DATA."""

import warnings
from pathlib import Path

from relmask.data.folders import images
from relmask.data.index import Index
from relmask.data.names import composed
from relmask.data.truth import with_masks
from relmask.errors import DataError
from relmask.formats import format_of, png, read
from relmask.formats.matching import match


def corrected(index: Index, path: Path) -> Index:
    """DATA with the true masks of a file or a folder, in any format that relmask reads, instead of its own.

    Pictures are found by their names. One that is not there has no true mask, unless it is clean; one that is
    there with nothing drawn on it is all background. What only a model said does not count, where the format
    tells it apart. Masks of a plain folder of PNG files mean what DATA's own masks would, unless a
    classes.csv beside them says more.

    Args:
        index: DATA.
        path: what an annotation tool exported, unpacked, or a folder of masks.

    Raises:
        DataError: nothing that can be read, nothing reviewed, classes that DATA does not have, or no picture
            of DATA.
    """
    names = [sample.name for sample in index.samples]
    if path.is_dir() and format_of(path) == "png" and not png.names_of(path):
        files = images(path)
        found = match([file.relative_to(path).with_suffix("").as_posix() for file in files], names)
        _require(found, len(files), index, path)
        return with_masks(index, {name: files[number] for name, number in found.items()})
    pictures = [picture for picture in read(path).pictures if picture.reviewed]
    if not pictures:
        raise DataError(f"{path} holds predictions only. Export it again when a person has corrected them.")
    used = {label for picture in pictures for label in picture.labels or ()}
    known = {composed(label) for label in index.classes}
    if unknown := sorted(label for label in used if composed(label) not in known):
        raise DataError(
            f"{path} has the classes {', '.join(unknown)}, but {index.root} has {', '.join(index.classes)}. "
            "Rename the ones or the others."
        )
    found = match([picture.image for picture in pictures], names)
    _require(found, len(pictures), index, path)
    return with_masks(index, {name: pictures[number] for name, number in found.items()})


def _require(found: dict[str, int], annotated: int, index: Index, path: Path) -> None:
    """Say which annotations have no picture in DATA; refuse if none has one."""
    if not found:
        raise DataError(
            f"No picture that is annotated in {path} is in {index.root}: the names differ, or it is of other "
            "data."
        )
    if annotated > len(found):
        warnings.warn(
            f"{annotated - len(found)} of {annotated} pictures in {path} are not in {index.root}.",
            stacklevel=3,
        )
