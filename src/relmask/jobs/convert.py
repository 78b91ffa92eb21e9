"""The job of `convert`: existing masks in other formats."""

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from relmask.data.folders import images as find_images
from relmask.data.problems import listed
from relmask.errors import DataError
from relmask.files import printable
from relmask.formats import Annotations, find_formats, read
from relmask.formats.annotation import MOST_CLASSES
from relmask.formats.matching import match
from relmask.jobs.exports import export
from relmask.out import locked
from relmask.progress import Progress, silent


@dataclass(frozen=True)
class Converted:
    """Result of a conversion.

    Attributes:
        out: folder of the results.
        pictures: number of pictures with a mask.
        classes: class names in the order of the masks' values.
        formats: names of the formats that were written.
        failed: picture and reason, for each that could not be converted.
        left_out: count of what MASKS holds but no mask shows, by kind, such as points.
    """

    out: Path
    pictures: int
    classes: tuple[str, ...]
    formats: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]
    left_out: Mapping[str, int]

    def __str__(self) -> str:
        done = self.pictures - len(self.failed)
        return f"{done} masks as {', '.join(self.formats)}, {len(self.failed)} failed\nResults in {self.out}"


def convert_files(
    masks: str | Path,
    formats: Sequence[str],
    out: str | Path,
    *,
    images: str | Path | None = None,
    classes: Sequence[str] = (),
    image_root: str = "",
    overwrite: bool = False,
    progress: Progress = silent,
) -> Converted:
    """Write masks that exist in other formats, a folder each.

    Args:
        masks: OUT of `segment`, a folder of masks, or what an annotation tool exported.
        formats: names from `relmask.formats.FORMATS`.
        out: folder of the results.
        images: folder of the pictures: their names and sizes are taken from there. YOLO's files need it.
        classes: names of the masks' values 1, 2 ...; by default what MASKS says, in its order.
        image_root: path or URL below which Label Studio finds the pictures.
        overwrite: replace in OUT what relmask wrote of other masks, and what was changed since.
        progress: called after every picture.

    Raises:
        UsageError: no such format.
        DataError: MASKS cannot be read.
        OutError: OUT cannot be written, or holds other masks, or some that were changed.
    """
    chosen = tuple(find_formats(formats))
    found = read(Path(masks), classes=classes)
    if images is not None:
        found = _of_pictures(found, Path(images))
    if not found.pictures:
        raise DataError(f"{masks} holds no masks.")
    names = tuple(classes) or found.classes
    if len(names) > MOST_CLASSES:
        raise DataError(
            f"{masks} has {len(names)} classes, and a mask at most {MOST_CLASSES}. Leave some out."
        )
    settings = {
        "masks": printable(os.path.abspath(masks)),  # noqa: PTH100 - follows no link
        "images": images and printable(os.path.abspath(images)),  # noqa: PTH100
        "classes": names,
        "image_root": image_root,
    }
    with locked(Path(out)):
        failed = export(
            found.pictures,
            names,
            chosen,
            Path(out),
            settings=settings,
            image_root=image_root,
            overwrite=overwrite,
            progress=progress,
        )
    return Converted(Path(out), len(found.pictures), names, chosen, failed, found.left_out)


def _of_pictures(found: Annotations, folder: Path) -> Annotations:
    """The same annotations, named as the pictures in a folder; those that it lacks stay as they are."""
    files = {file.relative_to(folder).as_posix(): file for file in find_images(folder)}
    if not files:
        raise DataError(f"No pictures in {folder}.")
    meant = {number: name for name, number in match([p.image for p in found.pictures], list(files)).items()}
    strangers = [picture.image for number, picture in enumerate(found.pictures) if number not in meant]
    if strangers and not meant:
        raise DataError(
            f"No picture that is annotated is in {folder}: the names differ, such as {strangers[0]} and "
            f"{next(iter(files))}. Name the folder that the pictures were annotated in."
        )
    if strangers:
        warnings.warn(
            f"{len(strangers)} of {len(found.pictures)} annotated pictures are not in {folder}:\n"
            f"{listed(strangers)}",
            stacklevel=3,
        )
    pictures = [
        replace(picture, image=meant[number], file=files[meant[number]]) if number in meant else picture
        for number, picture in enumerate(found.pictures)
    ]
    return replace(found, pictures=tuple(pictures))
