"""Temporary files of requests."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from relmask.errors import OutError


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that is gone at the end of the block.

    Raises:
        OutError: the folder, or a file that the block writes, cannot be written.
    """
    try:
        with TemporaryDirectory(prefix="relmask-", ignore_cleanup_errors=True) as folder:
            yield Path(folder)
    except OSError as error:
        raise OutError(
            f"The server cannot write temporary files in {gettempdir()} ({error.strerror or error}). Free "
            "some space there, or start the server with another folder in TMPDIR."
        ) from error
