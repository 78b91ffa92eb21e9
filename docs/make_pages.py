"""Run the code of the pages, and keep what it prints and draws, in docs/made.

python docs/make_pages.py                              all pages that are out of date
python docs/make_pages.py tutorial examples/parts      these

A page is run in an empty folder: blocks of `python`, and the lines of `console` that begin with `$ relmask`.
What the n-th block prints becomes made/<page>-<n>.txt, pictures in the folder become made/<page>-<name>.
made.json says from which code, so that tests notice a page that changed since.
"""

import contextlib
import hashlib
import io
import json
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

import relmask
from relmask.cli import app
from relmask.files import write_json

DOCS = Path(__file__).parent
MADE = DOCS / "made"
RECORD = MADE / "made.json"


class Made(TypedDict):
    """What a page was made with, and checksums of its code and of what it left."""

    relmask: str
    code: str
    files: dict[str, str]


class Page:
    """A page whose code can be run.

    Args:
        path: of the Markdown file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.relative_to(DOCS).with_suffix("").as_posix()
        text = path.read_text(encoding="utf-8")
        self.blocks = re.findall(r"^```(python|console)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
        self.shows = sorted(set(re.findall(rf"made/({path.stem}-[\w.-]+)", text)))

    def run(self) -> dict[str, bytes]:
        """Run all blocks in the working directory, which should be empty.

        Returns:
            What they printed and drew, by the names that files of it have.
        """
        stem, names = self.path.stem, {"__name__": "page"}
        left: dict[str, bytes] = {}
        for number, (language, block) in enumerate(self.blocks, start=1):
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                if language == "python":
                    exec(compile(block, f"{self.path}, block {number}", "exec"), names)
                else:
                    _command_lines(block)
            if printed.getvalue():
                text = printed.getvalue().replace(f"{Path.cwd()}/", "")
                left[f"{stem}-{number}.txt"] = text.encode()
        return left | {f"{stem}-{picture.name}": picture.read_bytes() for picture in Path().glob("*.jpg")}

    def made(self) -> Made:
        """What docs/made holds of the page, as it is now."""
        return Made(
            relmask=relmask.__version__,
            code=_checksum("\n".join(block for _, block in self.blocks).encode()),
            files={
                name: _checksum((MADE / name).read_bytes()) for name in self.shows if (MADE / name).exists()
            },
        )

    @property
    def current(self) -> bool:
        """Whether docs/made holds all that the page shows, made by the code that it has now."""
        return not self.shows or (
            set(self.made()["files"]) == set(self.shows) and _record().get(self.name) == self.made()
        )


def pages() -> Iterator[Page]:
    """All pages with code to run."""
    for path in sorted(DOCS.rglob("*.md")):
        if (page := Page(path)).blocks:
            yield page


def make(page: Page) -> None:
    """Run a page in a folder of its own, and keep what it shows."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        left = page.run()
    MADE.mkdir(exist_ok=True)
    for name in page.shows:
        (MADE / name).write_bytes(left[name])
    write_json(RECORD, {**_record(), page.name: page.made()})


def _record() -> dict[str, Made]:
    known: dict[str, Made] = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    return known


def _command_lines(block: str) -> None:
    for line in block.splitlines():
        if line.startswith("$ relmask "):
            words = shlex.split(line, comments=True)
            if (app(words[2:], prog_name="relmask", standalone_mode=False) or 0) > 1:
                raise RuntimeError(f"{line} could not be run")


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    asked = sys.argv[1:]
    for page in pages():
        if page.name in asked or (not asked and not page.current):
            print(f"{page.name} ...", flush=True)
            make(page)
