"""relmask as a person meets it: in a pseudo-terminal, with keys."""

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|\x1b[=>]")
CTRL_C = b"\x03"
_IN_TERMINAL = "import os, sys; os.login_tty(int(sys.argv[1])); os.execvp(sys.argv[2], sys.argv[2:])"


class Terminal:
    """A program in a pseudo-terminal of its own, and all that it has written.

    Args:
        arguments: of the program.
        columns: width of the terminal.
        environment: on top of this process's own.
    """

    def __init__(
        self,
        arguments: Sequence[str | Path],
        *,
        columns: int = 100,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.written = b""
        self._controller, terminal = pty.openpty()
        termios.tcsetwinsize(terminal, (40, columns))
        inherited = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _IN_TERMINAL, str(terminal), *map(str, arguments)],
            pass_fds=(terminal,),
            env={**inherited, "TERM": "xterm-256color", **(environment or {})},
        )
        os.close(terminal)

    @classmethod
    def relmask(cls, *arguments: str | Path, **options: object) -> Self:
        """Start the command line of relmask."""
        return cls((sys.executable, "-m", "relmask", *arguments), **options)  # type: ignore[arg-type]

    @property
    def text(self) -> str:
        """What was written, without control codes; what a bar wrote over itself is there line by line."""
        return CONTROL.sub("", self.written.decode()).replace("\r\n", "\n").replace("\r", "\n")

    def send(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._controller, keys)

    def wait_for(self, pattern: str, seconds: float = 120) -> None:
        """Read until the text matches; fails with what was written if it ends or takes too long."""
        end = time.monotonic() + seconds
        while not re.search(pattern, self.text):
            assert self._read(end - time.monotonic()), f"no {pattern!r} in:\n{self.text}"

    def finish(self, seconds: float = 120) -> int:
        """Read to the end; give the exit code."""
        end = time.monotonic() + seconds
        while self._read(end - time.monotonic()):
            pass
        os.close(self._controller)
        return self._process.wait(max(0.0, end - time.monotonic()))

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._controller], [], [], max(0.0, seconds))
        if not ready:
            self._process.kill()
        assert ready, f"silent for too long after:\n{self.text}"
        try:
            found = os.read(self._controller, 65536)
        except OSError:  # Linux says so when the last process has closed the terminal
            return False
        self.written += found
        return bool(found)
