"""Which picture is meant: names in annotation files against names of pictures."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

from relmask.data.names import composed
from relmask.data.problems import refuse
from relmask.formats.annotation import stem


def match(wanted: Sequence[str], names: Sequence[str]) -> dict[str, int]:
    """For each picture that is meant, which of `wanted` means it.

    Tools shorten paths or lengthen them, and some drop suffixes. So a picture is meant if one path is the end
    of the other, but for the suffix; where several are, the one with the same suffix. What matches none so is
    compared by its last part alone, if that is unique on both sides, and at last by that as Label Studio
    changes it for uploads. Letters with accents are the same however they are composed.

    Args:
        wanted: paths as files name them.
        names: posix paths of the pictures.

    Raises:
        DataError: a path that may mean several pictures, or a picture that is meant twice.

    Example:
        >>> match(["/home/me/parts/a/1.jpg", "b/1"], ["a/1.jpg", "b/1.png", "b/2.png"])
        {'a/1.jpg': 0, 'b/1.png': 1}
    """
    paths = [_path(path.replace("\\", "/")) for path in wanted]
    own = {_path(name): name for name in names}
    by_stem: dict[str, list[PurePosixPath]] = defaultdict(list)
    by_upload: dict[str, list[PurePosixPath]] = defaultdict(list)
    for path in own:
        by_stem[stem(path.name)].append(path)
        by_upload[_uploaded(path)].append(path)
    asked = Counter(stem(path.name) for path in paths)
    asked_as_upload = Counter(_uploaded(_without_prefix(path)) for path in paths)
    found: dict[str, int] = {}
    several, twice = [], []
    for number, path in enumerate(paths):
        candidates = by_stem[stem(path.name)]
        if path.name != stem(path.name):
            candidates = candidates + by_stem[path.name]
        best = _best(path, candidates)
        if not best and len(candidates) == asked[stem(path.name)] == 1:
            best = candidates
        if not best and not candidates:
            renamed = _uploaded(_without_prefix(path))
            best = by_upload[renamed] if len(by_upload[renamed]) == asked_as_upload[renamed] == 1 else []
        if len(best) > 1:
            several.append(f"{path}: {', '.join(own[one] for one in best)}")
        for name in (own[one] for one in best[:1]):
            if name in found:
                twice.append(name)
            found.setdefault(name, number)
    if several:
        refuse(
            "Names that may mean several pictures", several, "Give the pictures paths that tell them apart."
        )
    if twice:
        refuse("Pictures that are annotated twice", twice, "Keep one annotation of each picture.")
    return found


def _path(name: str) -> PurePosixPath:
    return PurePosixPath(composed(name))


def _uploaded(path: PurePosixPath) -> str:
    """A file's name without suffix as Label Studio stores it: `my part (1)` becomes `my_part_1`."""
    return re.sub(r"[^-\w.]", "", stem(path.name).strip().replace(" ", "_"))


def _without_prefix(path: PurePosixPath) -> PurePosixPath:
    """The path without the eight digits that Label Studio's exports put before the names of uploads."""
    return PurePosixPath(re.sub(r"^[0-9a-f]{8}-(?=.)", "", path.name))


def _best(path: PurePosixPath, candidates: Sequence[PurePosixPath]) -> list[PurePosixPath]:
    """Of pictures with the same stem those that fit best: the longest common end, then the same last part."""
    ranked = [((_common(path, other), path.name == other.name), other) for other in candidates]
    fitting = [entry for entry in ranked if entry[0][0] == min(len(_folders(path)), len(_folders(entry[1])))]
    highest = max((rank for rank, _ in fitting), default=None)
    return [other for rank, other in fitting if rank == highest]


def _folders(path: PurePosixPath) -> tuple[str, ...]:
    return tuple(part for part in path.parts[:-1] if part not in ("/", ".", ".."))


def _common(path: PurePosixPath, other: PurePosixPath) -> int:
    """How many folders above the last part are the same."""
    count = 0
    for one, another in zip(reversed(_folders(path)), reversed(_folders(other)), strict=False):
        if one != another:
            break
        count += 1
    return count
