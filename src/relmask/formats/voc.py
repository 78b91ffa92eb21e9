"""Pascal VOC's segmentation, as CVAT's "Segmentation mask 1.1" and Datumaro read it too.

    SegmentationClass/<name>.png            palette PNG in VOC's colours
    ImageSets/Segmentation/default.txt      the names
    labelmap.txt                            label:r,g,b:parts:actions

Source: VOC 2012 development kit, section 3.4 and VOClabelcolormap; CVAT, "Segmentation Mask".
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from relmask.arrays import ByteArray, IntegerArray
from relmask.data.decoding import image_size, opened
from relmask.data.folders import images
from relmask.errors import ImageError, OutError
from relmask.files import printable, whole, write_text
from relmask.formats.annotation import Annotation, Annotations, Picture, Region, Size
from relmask.formats.documents import read_text
from relmask.formats.fields import Damaged, damage_at, damage_in
from relmask.formats.rasters import write_mask

_MASKS = "SegmentationClass"
_NAMES = "ImageSets/Segmentation/default.txt"
_LABELS = "labelmap.txt"
_BACKGROUND = "background"
_BORDER = 224, 224, 192  # VOC's colour for what counts neither way

Colour = tuple[int, int, int]


def colours(count: int) -> ByteArray:
    """VOC's colours (count, 3): the bits of a value go in turn to red, green and blue, the lowest highest.

    >>> colours(4).tolist()
    [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
    """
    values = np.arange(count)
    found = np.zeros((count, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            found[:, channel] |= ((values >> (3 * bit + channel) & 1) << (7 - bit)).astype(np.uint8)
    return found


@contextmanager
def writing(folder: Path, classes: Sequence[str], image_root: str) -> Iterator[Callable[[Picture], None]]:
    """Give what writes one picture's file; `image_root` has no place in this format.

    Raises:
        OutError: a name that labelmap.txt or the list cannot hold, or a place that cannot be written.
    """
    if odd := [name for name in classes if ":" in name or "\n" in name or name.startswith("#")]:
        raise OutError(
            f"Pascal VOC's labelmap.txt cannot hold the class {', '.join(odd)}: rename it, without ':'."
        )
    palette = colours(len(classes) + 1)
    lines = [
        f"{name}:{','.join(map(str, colour))}::\n"
        for name, colour in zip((_BACKGROUND, *classes), palette.tolist(), strict=True)
    ]
    write_text(folder / _LABELS, "# label:color_rgb:parts:actions\n" + "".join(lines))
    with whole(folder / _NAMES) as part, part.open("w", encoding="utf-8", newline="\n") as names:

        def add(picture: Picture) -> None:
            if "\n" in picture.name or "\r" in picture.name:
                raise OutError(
                    f"Pascal VOC's list of names cannot hold {picture.name!r}: rename the picture."
                )
            write_mask(folder / _MASKS / f"{picture.name}.png", picture.mask, palette)
            names.write(f"{printable(picture.name)}\n")

        yield add


def recognises(path: Path) -> bool:
    """Whether it is a folder with SegmentationClass."""
    return (path / _MASKS).is_dir()


def read(path: Path) -> Annotations:
    """Masks of SegmentationClass, palette or RGB; VOC's border colour counts as background.

    Raises:
        DataError: labelmap.txt is missing or damaged.
    """
    labels = _labels(path / _LABELS)
    background = labels.pop(_BACKGROUND, (0, 0, 0))
    names = {colour: name for name, colour in labels.items()}
    found = [
        Annotation(
            image=file.relative_to(path / _MASKS).with_suffix("").as_posix(),
            regions=partial(_regions, file, names, background),
            size=partial(image_size, file),
        )
        for file in images(path / _MASKS)
    ]
    return Annotations.of(names.values(), found)


def _labels(path: Path) -> dict[str, Colour]:
    """The colour of each class and of the background."""
    found: dict[str, Colour] = {}
    with damage_in(path, "list of which colour is which class (label:r,g,b::)"):
        for number, line in enumerate(read_text(path).splitlines(), start=1):
            if line.strip() and not line.startswith("#"):
                with damage_at(f"line {number}"):
                    name, _, rest = line.partition(":")
                    colour = _colour(rest.split(":")[0])
                    if colour in (found.get(other) for other in found if other != name):
                        raise Damaged(f"another class has the colour of {name}")
                    found[name] = colour
    return found


def _colour(text: str) -> Colour:
    values = [int(value) for value in map(str.strip, text.split(",")) if re.fullmatch("[0-9]{1,3}", value)]
    if len(values) != 3 or max(values) > 255:
        raise Damaged("a colour should be three numbers from 0 to 255, joined by commas")
    return values[0], values[1], values[2]


def _regions(file: Path, names: dict[Colour, str], background: Colour, size: Size) -> Iterator[Region]:
    try:
        with opened(file) as image:
            image.load()
            kinds, palette = _by_colour(image)
    except Exception as error:  # decoders raise whatever a damaged file leads them to
        raise ImageError(f"{file}: the mask cannot be read. Export it again.") from error
    for value in np.unique(kinds).tolist():
        colour: Colour = palette.get(value, (0, 0, 0))
        if colour in names:
            yield Region(names[colour], kinds == value)
        elif colour not in (background, (0, 0, 0), _BORDER):
            raise ImageError(
                f"{file}: the colour {colour} is no class of {_LABELS}. Correct the one or the other."
            )


def _by_colour(image: Image.Image) -> tuple[IntegerArray, dict[int, Colour]]:
    """A number (H, W) for each pixel's colour, and what the numbers mean."""
    if image.mode == "P":
        rows = np.array(image.getpalette("RGB"), np.int64).reshape(-1, 3).tolist()
        return np.asarray(image), {value: (r, g, b) for value, (r, g, b) in enumerate(rows)}
    pixels = np.asarray(image.convert("RGB")).astype(np.uint32)
    packed = pixels[:, :, 0] << 16 | pixels[:, :, 1] << 8 | pixels[:, :, 2]
    return packed, {
        value: (value >> 16, value >> 8 & 255, value & 255) for value in np.unique(packed).tolist()
    }
