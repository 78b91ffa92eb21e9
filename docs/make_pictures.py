"""Make the README's first picture: what to hope for, and an honest failure.

python docs/make_pictures.py demo

Two rows are taken from what the worked examples show (docs/made), two are test pictures of the folder that
`relmask demo` wrote: its first pit that is missed, and its first clean picture.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import relmask
from relmask.arrays import ByteArray
from relmask.data.index import read_index
from relmask.data.truth import read_truth
from relmask.report import overlay, painted, panel

DOCS = Path(__file__).parent
SIDE = 160
"""Side in pixels of a picture in a row."""
EXAMPLES = (("roads", 1), ("meat", 0))
"""Worked examples, and the row of their picture that is shown."""
TITLES = ("picture", "relevance", "mask found", "true mask")
TITLE = 22
"""Height in pixels of the line of titles."""


def main(demo: Path, out: Path) -> None:
    """Two rows of the worked examples, a missed pit and a clean picture of the demo."""
    compose([*map(example, EXAMPLES), *demo_rows(demo)], out)


def example(shown: tuple[str, int]) -> Image.Image:
    """A row of the picture that a worked example shows."""
    name, row = shown
    with Image.open(DOCS / "made" / f"{name}-masks.jpg") as picture:
        height = picture.height // 4
        return picture.crop((0, row * height, picture.width, (row + 1) * height)).copy()


def demo_rows(demo: Path) -> list[Image.Image]:
    """The first pit among the demo's test pictures whose mask is empty, and the first clean picture."""
    run, index = relmask.load(demo / "run"), read_index(demo / "data")
    rows: list[Image.Image] = []
    for labels in (frozenset({"pit"}), frozenset[str]()):
        for sample in index.part("test"):
            picture = run.read(sample.path)
            found = run.segment(picture)
            if sample.labels != labels or found.mask.any():
                continue
            grey = np.round(picture * 255).astype(np.uint8)
            truth = painted(picture, read_truth(sample, index))
            row: ByteArray = panel([grey, overlay(picture, None, 1.0), painted(picture, found.mask), truth])
            rows.append(Image.fromarray(row))
            break
    return rows


def compose(rows: list[Image.Image], out: Path) -> None:
    """Write rows of four pictures each under one line of titles."""
    width = 4 * SIDE + 12
    whole = Image.new("RGB", (width, TITLE + len(rows) * (SIDE + 4)), "white")
    draw, font = ImageDraw.Draw(whole), ImageFont.load_default(14)
    for column, title in enumerate(TITLES):
        draw.text((column * (SIDE + 4) + SIDE // 2, TITLE // 2), title, "black", font, anchor="mm")
    for number, row in enumerate(rows):
        whole.paste(row.resize((width, SIDE)), (0, TITLE + number * (SIDE + 4)))
    out.parent.mkdir(exist_ok=True)
    whole.save(out, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), DOCS / "pictures" / "demo.png")
