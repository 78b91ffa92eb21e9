"""Files that Pillow cannot write, and data sets in a few words."""

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from relmask.data.index import Index

PNG_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def write_png16(path: Path, pixels: NDArray[np.uint16], exif: bytes = b"") -> None:
    """PNG with 16 bits a channel: grey, grey and alpha, RGB or RGBA, by the last axis of (H, W, C)."""
    height, width, channels = pixels.shape

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, 16, PNG_COLOUR_TYPES[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    turn = chunk(b"eXIf", exif.removeprefix(b"Exif\0\0")) if exif else b""
    body = chunk(b"IHDR", head) + turn + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def picture(path: Path, value: int = 128, size: tuple[int, int] = (8, 8)) -> Path:
    """A grey 8-bit picture (height, width) of one value; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(size, value, np.uint8)).save(path)
    return path


def touched(folder: Path, *names: str) -> Path:
    """Empty files; enough for an index, which opens no picture."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def table(path: Path, text: str, encoding: str = "utf-8") -> Path:
    """A CSV; every picture that it names in its first column is made as an empty file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    for line in text.splitlines()[1:]:
        if name := line.split(",")[0].strip():
            touched(path.parent, name)
    return path


def labelled(folder: Path, groups: Mapping[str, tuple[str, int]], split: str = "") -> Path:
    """A data set: for each group its labels and how many pictures it has."""
    rows = [
        f"{group}-{number}.png,{labels},{group},{split}"
        for group, (labels, count) in groups.items()
        for number in range(count)
    ]
    return table(folder / "index.csv", "\n".join(["image,label,group,split", *rows])).parent


def labels_by_name(index: Index) -> dict[str, set[str]]:
    """Labels of all samples."""
    return {sample.name: set(sample.labels) for sample in index.samples}
