"""Which pictures a job is about, and the name that each one's results carry."""

import glob
import os
import re
import warnings
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePath
from typing import NamedTuple

from relmask.data.decoding import SUFFIXES
from relmask.data.folders import contents, lies_beside
from relmask.data.problems import listed, refuse
from relmask.errors import DataError
from relmask.files import printable
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
    Several INPUT folders are told apart by as much of the end of their paths as that takes. A warning names
    files of kinds that relmask does not read, but for what lies beside pictures, like text and tables.

    Args:
        inputs: existing paths, or patterns with `*`, `?`, `[...]` and `**`.
        skip: folders whose content is left out, since the job itself writes it.

    Raises:
        DataError: an input does not exist, may not be read, or there is no picture at all.
    """
    missing = [str(given) for given in inputs if not Path(given).exists() and not glob.has_magic(str(given))]
    if missing:
        refuse("No such file or folder", missing, "Check the spelling of INPUT.")
    given = [_expand(path) for path in inputs]
    skipped = tuple(os.path.abspath(folder) + os.sep for folder in skip)  # noqa: PTH100 - resolve() would follow links
    found: dict[str, tuple[str, Path, str]] = {}
    for one in given:
        for path in one.pictures:
            if not (place := _place(path)).startswith(skipped):
                found.setdefault(place, (_place(one.root), path, path.relative_to(one.root).as_posix()))
    unread = {_place(path): printable(path) for one in given for path in one.unread}
    left_out = _left_out([unread[place] for place in unread.keys() - found if not place.startswith(skipped)])
    if not found:
        raise DataError(f"No pictures in {', '.join(str(path) for path in inputs)}. {left_out}".rstrip())
    if left_out:
        warnings.warn(left_out, stacklevel=2)
    prefixes = _prefixes({root for root, _, _ in found.values()})
    below = [prefixes[root] + rest for root, _, rest in found.values()]
    return [Item(path, name) for (_, path, _), name in zip(found.values(), distinct(below), strict=True)]


def _place(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links


def _left_out(unread: Collection[str]) -> str:
    """A warning that names these files; empty where there are none."""
    if not unread:
        return ""
    what = f"Files in INPUT that relmask does not read, and leaves out ({len(unread)})"
    return f"{what}:\n{listed(sorted(unread))}\nSave pictures as PNG, JPEG or TIFF."


class _Given(NamedTuple):
    """What an INPUT stands for: the folder that names are relative to, pictures, and files of other kinds."""

    root: Path
    pictures: Sequence[Path]
    unread: Sequence[Path]


def _expand(given: str | Path) -> _Given:
    path = Path(given)
    if path.is_dir():
        found = contents(path)
        return _Given(path, found.pictures, found.unread)
    if path.exists():
        return _Given(path.parent, [path], [])
    root = Path(*takewhile(lambda part: not glob.has_magic(part), path.parts))
    matches = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207 - absolute patterns
    files = [match for match in matches if match.is_file()]
    folders = [contents(match) for match in matches if match.is_dir()]
    pictures = [file for file in files if file.suffix.lower() in SUFFIXES]
    unread = [file for file in files if file.suffix.lower() not in SUFFIXES and not lies_beside(file)]
    return _Given(
        root,
        [*pictures, *(path for inner in folders for path in inner.pictures)],
        [*unread, *(path for inner in folders for path in inner.unread)],
    )


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
