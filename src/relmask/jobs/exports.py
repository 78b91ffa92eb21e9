"""Masks in other programs' formats, a folder each, whole or as it was before."""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from relmask.data.problems import listed
from relmask.errors import ImageError, OutError
from relmask.files import reason, write_json
from relmask.formats import FORMATS, Annotation, Picture, below, distinct, png
from relmask.progress import Progress, silent

_MANIFEST = ".relmask.json"
"""In each folder: size and time of change of every file written, so that a person's work is noticed."""


def export(
    annotations: Sequence[Annotation],
    classes: Sequence[str],
    formats: Sequence[str],
    out: Path,
    *,
    image_root: str = "",
    overwrite: bool = False,
    progress: Progress = silent,
) -> tuple[tuple[str, str], ...]:
    """Write masks in several formats, each drawn once.

    Args:
        annotations: what to draw.
        classes: names, in the order of the masks' values.
        formats: of `relmask.formats.FORMATS`.
        out: gets a folder of the name of each format; of PNG, `masks`.
        image_root: what Label Studio finds the pictures below.
        overwrite: replace what relmask did not write, or what was changed since.
        progress: called after every picture.

    Returns:
        Picture and reason of those that could not be drawn; they are left out.

    Raises:
        OutError: a folder cannot be written, or holds what relmask did not write.
    """
    if not overwrite:
        require_unchanged(out, formats)
    failed: list[tuple[str, str]] = []
    names = distinct([below(annotation.image) for annotation in annotations])
    with _replaced([_folder(out, name) for name in formats]) as parts, ExitStack() as stack:
        writers = [
            stack.enter_context(FORMATS[name].writing(part, classes, image_root))
            for name, part in zip(formats, parts, strict=True)
        ]
        for done, (annotation, name) in enumerate(zip(annotations, names, strict=True), start=1):
            try:
                mask = annotation.draw(classes)
            except ImageError as error:
                failed.append((annotation.image, str(error).removeprefix(f"{annotation.image}: ")))
            else:
                picture = Picture(
                    annotation.image, name, mask, annotation.score, annotation.scores, annotation.file
                )
                for write in writers:
                    write(picture)
            progress("export", done, len(annotations))
    return tuple(failed)


def require_unchanged(out: Path, formats: Sequence[str]) -> None:
    """Check that the formats' folders hold nothing but what relmask wrote, as it wrote it.

    Raises:
        OutError: names what was changed or added.
    """
    changed = [
        f"{folder / name}" for folder in (_folder(out, f) for f in formats) for name in _changed(folder)
    ]
    if changed:
        raise OutError(
            f"{out} holds files that relmask did not write, or that were changed since ({len(changed)}):\n"
            f"{listed(changed)}\nChoose another OUT, or replace them with --overwrite."
        )


def _folder(out: Path, name: str) -> Path:
    return out / (png.FOLDER if name == "png" else name)


def _changed(folder: Path) -> list[str]:
    try:
        known = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    return [name for name, stamp in _stamps(folder).items() if known.get(name) != stamp]


def _stamps(folder: Path) -> dict[str, list[int]]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _MANIFEST)
    stats = [(path.relative_to(folder).as_posix(), path.stat()) for path in files]
    return {name: [stat.st_size, stat.st_mtime_ns] for name, stat in stats}


@contextmanager
def _replaced(folders: Sequence[Path]) -> Iterator[list[Path]]:
    """Give an empty folder beside each, which takes its place if the block succeeds."""
    parts = [folder.with_name(f".{folder.name}.part") for folder in folders]
    try:
        for part in parts:
            _made(part)
        yield parts
        for folder, part in zip(folders, parts, strict=True):
            write_json(part / _MANIFEST, _stamps(part))
            _swap(part, folder)
    finally:
        for part in parts:
            shutil.rmtree(part, ignore_errors=True)


def _made(part: Path) -> None:
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
    except OSError as error:
        raise OutError(f"Cannot write {part.parent}: {reason(error)}") from error


def _swap(part: Path, folder: Path) -> None:
    old = folder.with_name(f".{folder.name}.old")
    try:
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        part.rename(folder)
    except OSError as error:
        raise OutError(f"Cannot write {folder}: {reason(error)}") from error
    shutil.rmtree(old, ignore_errors=True)
