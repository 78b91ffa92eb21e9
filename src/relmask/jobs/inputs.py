"""Which pictures a job is about, and the name that each one's results carry."""

import glob
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePath

from relmask.data.decoding import SUFFIXES
from relmask.data.folders import images
from relmask.data.problems import refuse
from relmask.errors import DataError
from relmask.formats import distinct


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of a job.

    Attributes:
        path: path of the picture: the INPUT joined with the path below it.
        name: posix path, unique in the job, that results get below their folder; a suffix is still to come.
    """

    path: Path
    name: str


def find_items(inputs: Sequence[str | Path], skip: Iterable[Path] = ()) -> list[Item]:
    """Pictures of folders (with all that is below them), of globs, and single files, each once.

    A name is the path below INPUT without its suffix; pictures that would share one keep their suffixes.
    Several INPUT folders are told apart by as much of the end of their paths as that takes.

    Args:
        inputs: existing paths, or patterns with `*`, `?`, `[...]` and `**`.
        skip: folders whose content is left out, since the job itself writes it.

    Raises:
        DataError: an input does not exist, may not be read, or there is no picture at all.
    """
    missing = [str(given) for given in inputs if not Path(given).exists() and not glob.has_magic(str(given))]
    if missing:
        refuse("No such file or folder", missing, "Check the spelling of INPUT.")
    skipped = [os.path.abspath(folder) + os.sep for folder in skip]  # noqa: PTH100 - resolve() would follow links
    found: dict[str, tuple[str, Path, str]] = {}
    for given in inputs:
        root, paths = _expand(given)
        for path in paths:
            place = os.path.abspath(path)  # noqa: PTH100
            if not place.startswith(tuple(skipped)):
                found.setdefault(place, (os.path.abspath(root), path, path.relative_to(root).as_posix()))  # noqa: PTH100
    if not found:
        raise DataError(f"No pictures in {', '.join(str(given) for given in inputs)}.")
    prefixes = _prefixes({root for root, _, _ in found.values()})
    below = [prefixes[root] + rest for root, _, rest in found.values()]
    return [Item(path, name) for (_, path, _), name in zip(found.values(), distinct(below), strict=True)]


def _expand(given: str | Path) -> tuple[Path, list[Path]]:
    """The folder that names are relative to, and the pictures."""
    path = Path(given)
    if path.is_dir():
        return path, images(path)
    if path.exists():
        return path.parent, [path]
    root = Path(*takewhile(lambda part: not glob.has_magic(part), path.parts))
    matches = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207 - absolute patterns
    pictures = [match for match in matches if match.is_file() and match.suffix.lower() in SUFFIXES]
    return root, pictures + [inner for match in matches if match.is_dir() for inner in images(match)]


def _prefixes(roots: set[str]) -> dict[str, str]:
    """Prefixes that tell roots apart: the shortest ends of their paths that differ; empty for one root."""
    if len(roots) == 1:
        return dict.fromkeys(roots, "")
    parts = {root: _parts(PurePath(root)) for root in roots}
    length = 1
    while len({tuple(parts[root][-length:]) for root in roots}) < len(roots):
        length += 1
    return {root: "".join(f"{part}/" for part in parts[root][-length:] if part) for root in roots}


def _parts(path: PurePath) -> list[str]:
    r"""An absolute path as names of folders; the drive is one of them, the root of POSIX an empty one.

    >>> from pathlib import PurePosixPath, PureWindowsPath
    >>> _parts(PurePosixPath("/parts/a")), _parts(PureWindowsPath("C:\\\\parts"))
    (['', 'parts', 'a'], ['C', 'parts'])
    """
    drive, *names = path.parts
    return [re.sub(r"[\\/:]+", "/", drive).strip("/"), *names]
