"""OUT: what it was made with, what may be replaced in it, and that one process at a time writes to it."""

import errno
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from relmask.errors import OutError
from relmask.files import PARTS, write_json, writing

LOCK = ".relmask.lock"
_IGNORED = ("lost+found",)


@dataclass(frozen=True, slots=True)
class Contents:
    """The files of one command in OUT.

    Attributes:
        noun: words for it in messages, like "a run".
        settings: name of the JSON file with the settings it was made with.
        files: patterns, below OUT, of all other files that the command writes.
        alone: may OUT hold nothing else?
    """

    noun: str
    settings: str
    files: tuple[str, ...]
    alone: bool = False


@contextmanager
def prepared(
    out: Path,
    contents: Contents,
    settings: Mapping[str, Any],
    *,
    resume: bool = True,
    overwrite: bool = False,
) -> Iterator[None]:
    """Hold OUT while the block writes to it: it is empty, or holds results of the same settings.

    Nothing is deleted that the same command did not write, and nothing is written before OUT is found fit.
    Settings without results, as a command leaves them that failed before the first one, bind nobody.

    Args:
        out: folder; it is made.
        contents: files that the command leaves there.
        settings: everything that decides about the results, as JSON holds it; kept in `contents.settings`.
        resume: go on with results of the same settings; False refuses them, too.
        overwrite: delete results of any settings, and start anew.

    Raises:
        OutError: OUT cannot be written, another process writes to it, or it holds something else.
    """
    with locked(out):
        with writing(out):
            for pattern in (contents.settings, *contents.files):
                for left_over in out.glob(str(PurePosixPath(pattern).with_name(PARTS))):
                    left_over.unlink(missing_ok=True)
        _require_fit(out, contents, settings, resume=resume, overwrite=overwrite)
        if overwrite:
            clear(out, contents)
        write_json(out / contents.settings, settings)
        yield


def clear(out: Path, contents: Contents) -> None:
    """Delete the files of a command in OUT but for its settings, and the folders that this leaves empty.

    Raises:
        OutError: a file cannot be deleted.
    """
    with writing(out):
        for pattern in contents.files:
            for path in out.glob(pattern):
                if not path.is_dir():
                    path.unlink(missing_ok=True)
            top, *below = PurePosixPath(pattern).parts
            if below:
                for folder, _, _ in os.walk(out / top, topdown=False):
                    with suppress(OSError):  # it is not empty
                        Path(folder).rmdir()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes, and other threads, from writing to a folder while the block does; it is made.

    The lock is the operating system's: it ends with the process, however that ends. A disk that knows no
    locks is written without.

    Raises:
        OutError: another process has it, or the folder cannot be written.
    """
    path = folder / LOCK
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = _locked(path)
    if file is None:
        raise OutError(
            f"Another relmask is writing to {folder}. Wait until it has finished, or choose another folder."
        )
    try:
        yield
    finally:
        with suppress(OSError):  # Windows deletes no open file
            path.unlink(missing_ok=True)
        file.close()


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Settings that differ, as JSON holds them, a line each; a nested value is named by its own key.

    >>> differences({"seed": 0, "grid": {"size": 8}}, {"seed": 1, "grid": {"size": 8}})
    ['seed: 0, now 1']
    """
    old, new = dict(_flat(before)), dict(_flat(json.loads(json.dumps(now))))
    return [
        _difference(key, old.get(key), new.get(key)) for key in {**old, **new} if old.get(key) != new.get(key)
    ]


def read_settings(path: Path) -> dict[str, Any] | None:
    """The content of a settings file; empty if it is damaged, None if there is none.

    Raises:
        OutError: it may not be read.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutError(f"Cannot read {path}: {error.strerror}. Choose another folder.") from error
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _require_fit(
    out: Path, contents: Contents, settings: Mapping[str, Any], *, resume: bool, overwrite: bool
) -> None:
    before = read_settings(out / contents.settings)
    if before is None:
        _require_empty(out, contents)
        return
    if overwrite or not _results(out, contents):
        return
    damaged = [] if before else [f"{contents.settings} is damaged"]
    if changed := damaged or differences(before, settings):
        lines = "\n".join(f"  {line}" for line in changed)
        raise OutError(
            f"{out} holds {contents.noun} of other settings:\n{lines}\n"
            "Choose another OUT, or start anew with --overwrite."
        )
    if not resume:
        raise OutError(
            f"{out} holds {contents.noun} of these settings. Go on with it (--resume), start anew "
            "(--overwrite), or choose another OUT."
        )


def _require_empty(out: Path, contents: Contents) -> None:
    if contents.alone:
        if any(not path.name.startswith(".") and path.name not in _IGNORED for path in out.iterdir()):
            raise OutError(
                f"{out} holds other files, which relmask leaves alone. Choose an empty or a new folder."
            )
        return
    if theirs := _results(out, contents):
        raise OutError(
            f"{out} holds {theirs.relative_to(out)}, which this command did not write and leaves alone. "
            "Choose another OUT."
        )


def _results(out: Path, contents: Contents) -> Path | None:
    """A file of the names that the command gives, if there is one."""
    return next((path for pattern in contents.files for path in out.glob(pattern)), None)


def _flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield above + key, value


def _difference(key: str, before: object, now: object) -> str:
    key = key.rpartition(".")[2]
    if any(isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) for value in (before, now)):
        return f"{key}: changed since"  # a person cannot compare digests
    return f"{key}: {before}, now {now}"


def _locked(path: Path) -> BinaryIO | None:
    """The lock file, open and locked; None if another process has it."""
    while True:
        file = path.open("ab")
        try:
            if not _try_lock(file):
                file.close()
                return None
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    return file
        except BaseException:
            file.close()
            raise
        file.close()  # whoever had the lock has deleted the file since it was opened here


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: BinaryIO) -> bool:
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(file: BinaryIO) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
        return True
