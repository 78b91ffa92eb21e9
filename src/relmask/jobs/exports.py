"""Masks in other programs' formats, a folder each, whole or as it was before."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from relmask.data.problems import listed
from relmask.errors import ImageError, OutError, UnwritableName
from relmask.files import write_json, writing
from relmask.formats import FORMATS, Annotation, Picture, below, distinct, png
from relmask.out import differences, read_settings
from relmask.progress import Progress, silent

_MANIFEST = ".relmask.json"
"""In each folder: what it was made with, and size and time of each file, so that changes are noticed."""


def export(
    annotations: Sequence[Annotation],
    classes: Sequence[str],
    formats: Sequence[str],
    out: Path,
    *,
    settings: Mapping[str, Any],
    image_root: str = "",
    overwrite: bool = False,
    progress: Progress = silent,
) -> tuple[tuple[str, str], ...]:
    """Write masks in several formats, each drawn once; the caller holds OUT, see `relmask.out.locked`.

    Args:
        annotations: masks to draw.
        classes: names, in the order of the masks' values.
        formats: names from `relmask.formats.FORMATS`.
        out: gets a folder of the name of each format; of PNG, `masks`.
        settings: everything that decides about the files, as JSON holds it.
        image_root: path or URL below which Label Studio finds the pictures.
        overwrite: replace what was made with other settings, or was changed since.
        progress: called after every picture.

    Returns:
        Picture and reason of those that could not be drawn; they are left out.

    Raises:
        OutError: a folder cannot be written, or holds something else.
    """
    require_replaceable(out, formats, settings, overwrite)
    folders = [_folder(out, name) for name in formats]
    failed: list[tuple[str, str]] = []
    names = distinct([below(annotation.image) for annotation in annotations])
    with writing(out), _replaced(folders, settings) as parts, ExitStack() as stack:
        writers = [
            stack.enter_context(FORMATS[name].writing(part, classes, image_root))
            for name, part in zip(formats, parts, strict=True)
        ]
        for done, (annotation, name) in enumerate(zip(annotations, names, strict=True), start=1):
            try:
                mask = annotation.draw(classes)
                picture = Picture(
                    annotation.image, name, mask, annotation.score, annotation.scores, annotation.file
                )
                for write in writers:
                    write(picture)
            except (ImageError, UnwritableName) as error:
                failed.append((annotation.image, str(error).removeprefix(f"{annotation.image}: ")))
            progress("export", done, len(annotations))
    return tuple(failed)


def require_replaceable(
    out: Path, formats: Sequence[str], settings: Mapping[str, Any], overwrite: bool
) -> None:
    """Check that the formats' folders are new, or hold what relmask wrote with these settings, unchanged.

    With `overwrite`, other settings and changed files are replaced; folders of others never are.

    Raises:
        OutError: names what was changed or added.
    """
    folders = [_folder(out, name) for name in formats]
    for folder in folders:
        if _manifest(folder) is None and _stamps(folder):
            raise OutError(
                f"{folder} holds files that this command did not write and leaves alone. Choose another OUT."
            )
    if overwrite:
        return
    if changed := [f"{folder / name}" for folder in folders for name in _changed(folder)]:
        raise OutError(
            f"{out} holds files that relmask did not write, or that were changed since ({len(changed)}):\n"
            f"{listed(changed)}\nChoose another OUT, or replace them with --overwrite."
        )
    for folder in folders:
        before = _manifest(folder)
        if before is not None and (other := differences(before.get("settings", {}), settings)):
            raise OutError(
                f"{folder} holds masks of other settings:\n{listed(other)}\n"
                "Choose another OUT, or replace them with --overwrite."
            )


def _folder(out: Path, name: str) -> Path:
    return out / (png.FOLDER if name == "png" else name)


def _changed(folder: Path) -> list[str]:
    known = (_manifest(folder) or {}).get("files", {})
    return [name for name, stamp in _stamps(folder).items() if known.get(name) != stamp]


def _manifest(folder: Path) -> dict[str, Any] | None:
    return read_settings(folder / _MANIFEST)


def _stamps(folder: Path) -> dict[str, list[int]]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _MANIFEST)
    stats = [(path.relative_to(folder).as_posix(), path.stat()) for path in files]
    return {name: [stat.st_size, stat.st_mtime_ns] for name, stat in stats}


@contextmanager
def _replaced(folders: Sequence[Path], settings: Mapping[str, Any]) -> Iterator[list[Path]]:
    """Give an empty folder beside each, which takes its place if the block succeeds.

    Files that a person added to the old folder move into the new one.
    """
    parts = [folder.with_name(f".{folder.name}.part") for folder in folders]
    try:
        for part in parts:
            with writing(part.parent):
                shutil.rmtree(part, ignore_errors=True)
                part.mkdir(parents=True)
        yield parts
        for folder, part in zip(folders, parts, strict=True):
            write_json(part / _MANIFEST, {"settings": settings, "files": _stamps(part)})
            with writing(folder):
                _swap(part, folder)
    finally:
        for part in parts:
            shutil.rmtree(part, ignore_errors=True)


def _swap(part: Path, folder: Path) -> None:
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        written = (_manifest(folder) or {}).get("files", {})
        for name in _stamps(folder):
            if name not in written and not (part / name).exists():
                (part / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).rename(part / name)
        folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
