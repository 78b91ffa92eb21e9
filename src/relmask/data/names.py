"""Names of files and classes: those that look the same, and those that no table can hold."""

import errno
import os
import unicodedata
from pathlib import Path


def composed(name: str) -> str:
    """The name in the one Unicode form (NFC) in which names are compared.

    A Mac, or an archive made on one, writes é as e and an accent; most else writes it as one character.
    """
    return unicodedata.normalize("NFC", name)


def is_text(name: str) -> bool:
    """Whether a line of a table in UTF-8 can hold the name."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return not set(name) & {"\r", "\n", "\0"}


def absent(path: Path) -> str:
    """Why there is no file at a path; empty if there is one."""
    try:
        return "" if path.is_file() else "a folder" if path.is_dir() else "no such file"
    except OSError as error:
        return (
            "a name that is too long" if error.errno == errno.ENAMETOOLONG else "a path that cannot be read"
        )


class Finder:
    """Finds files whose names are composed otherwise on the disk; it lists each folder once."""

    def __init__(self) -> None:
        self._listed: dict[Path, dict[str, Path]] = {}

    def __call__(self, path: Path) -> Path:
        """The path with its parts as they are on the disk; itself where it is, or where nothing is alike."""
        if str(path).isascii() or not absent(path):
            return path
        found = Path(path.anchor)
        for part in path.relative_to(found).parts:
            below = found / part
            found = below if os.path.lexists(below) else self._below(found).get(composed(part), below)
        return found

    def _below(self, folder: Path) -> dict[str, Path]:
        if folder not in self._listed:
            try:
                self._listed[folder] = {composed(path.name): path for path in folder.iterdir()}
            except OSError:
                self._listed[folder] = {}
        return self._listed[folder]
