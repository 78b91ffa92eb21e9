"""Pictures below a folder, and all else that lies there."""

import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from relmask.data.decoding import SUFFIXES
from relmask.data.problems import listed, refuse
from relmask.files import printable

# Files of these kinds lie beside pictures, and nobody takes them for some: text, tables, a run's weights.
_BESIDE = frozenset(
    (
        *(".csv", ".db", ".html", ".ini", ".json", ".log", ".md", ".txt", ".xml", ".yaml", ".yml", ".zip"),
        *(".pt", ".safetensors"),
    )
)


@dataclass(frozen=True)
class Contents:
    """All below a folder but what is hidden; links are followed.

    Attributes:
        pictures: files whose suffix relmask reads, sorted.
        others: all other files, and links that lead nowhere, sorted.
        folders: all of them below it, sorted.
        circles: links that lead back to a folder which holds them, and are left out.
    """

    pictures: tuple[Path, ...]
    others: tuple[Path, ...]
    folders: tuple[Path, ...]
    circles: tuple[Path, ...]

    @property
    def unread(self) -> list[Path]:
        """Other files that somebody may take for pictures."""
        return [path for path in self.others if not lies_beside(path)]


def lies_beside(path: Path) -> bool:
    """Whether a file is of a kind that is found beside pictures, and that nobody takes for one."""
    return path.suffix.lower() in _BESIDE


def contents(folder: Path) -> Contents:
    """Everything in a folder and its sub-folders.

    Raises:
        DataError: a folder may not be read.
    """
    refused: list[str] = []
    pictures: list[Path] = []
    others: list[Path] = []
    below: list[Path] = []
    circles: list[Path] = []
    walk = os.walk(folder, onerror=lambda error: refused.append(_refusal(error)), followlinks=True)
    for parent, folders, files in walk:
        above = Path(parent)
        looping = {name for name in folders if _leads_back(above / name, folder)}
        circles += [above / name for name in looping]
        folders[:] = [name for name in folders if not name.startswith(".") and name not in looping]
        below += [above / name for name in folders]
        for name in files:
            if not name.startswith("."):
                (pictures if Path(name).suffix.lower() in SUFFIXES else others).append(above / name)
    if refused and folder.exists():
        refuse(f"Folders in {folder} that cannot be read", refused, "Ask for read access, or move them away.")
    return Contents(*(tuple(sorted(paths)) for paths in (pictures, others, below, circles)))


def images(folder: Path) -> list[Path]:
    """Picture files anywhere below `folder`, sorted; hidden ones are left out, links are followed.

    Raises:
        DataError: a folder may not be read.
    """
    return list(contents(folder).pictures)


def _leads_back(path: Path, root: Path) -> bool:
    """Whether a folder is a link to one of those that it lies in, so that a walk through it would not end."""
    if not path.is_symlink():
        return False
    target = os.path.realpath(path)
    walked = {os.path.realpath(above) for above in (path.parent, *path.parents) if above.is_relative_to(root)}
    return target in walked or any(Path(above).is_relative_to(target) for above in walked)


def _refusal(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}"


def left_out(folder: Path, found: Contents, bare: Collection[Path]) -> list[str]:
    """Warnings of files that are left out, one for each kind.

    Args:
        folder: DATA.
        found: contents of DATA.
        bare: folders of it that ought to hold pictures, and hold none.
    """
    warnings = []
    unread: dict[Path, list[Path]] = {place: [] for place in sorted(bare)}
    for path in found.others:
        place = next((above for above in path.parents if above in bare), None) if bare else None
        if place or not lies_beside(path):
            unread.setdefault(place or path.parent, []).append(path)
    lines = {place: f"{_below(place, folder)}: {_kinds(paths)}" for place, paths in unread.items()}
    if bare:
        without = [line for place, line in lines.items() if place in bare]
        warnings.append(
            f"Folders in {folder} without a picture that relmask reads, so that no class comes of them "
            f"({len(without)}):\n{listed(without)}\nAdd pictures as PNG, JPEG or TIFF, or remove the folders."
        )
    if others := [line for place, line in lines.items() if place not in bare]:
        warnings.append(
            f"Files beside the pictures in {folder} that relmask does not read, and leaves out:\n"
            f"{listed(others)}\nSave pictures as PNG, JPEG or TIFF."
        )
    if found.circles:
        circles = [_below(path, folder) for path in found.circles]
        warnings.append(
            f"Links in {folder} that lead back to a folder which holds them, and are left out "
            f"({len(circles)}):\n{listed(circles)}\nLink to the folder that you mean."
        )
    return warnings


def _below(path: Path, folder: Path) -> str:
    return printable(path.relative_to(folder).as_posix())


def _kinds(paths: Sequence[Path]) -> str:
    """How many files of which suffixes there are."""
    if not paths:
        return "empty"
    nowhere = sum(not path.exists() for path in paths)
    suffixes = Counter(path.suffix.lower() or "without suffix" for path in paths if path.exists())
    kinds = [f"{count} {suffix}" for suffix, count in suffixes.most_common()]
    return ", ".join([*kinds, *([f"{nowhere} links that lead nowhere"] if nowhere else [])])
