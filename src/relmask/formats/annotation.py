"""What all formats share: a picture's mask on its way into files, annotations on their way out."""

import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, Self

import numpy as np
from scipy import ndimage

from relmask.arrays import ByteArray, Mask
from relmask.data.decoding import SUFFIXES, image_size
from relmask.data.names import composed
from relmask.data.problems import refuse
from relmask.errors import ImageError
from relmask.formats.fields import Damaged, as_score

Size = tuple[int, int]
"""Height and width in pixels."""

BACKGROUND = ""
MOST_CLASSES = 255
MOST_PIXELS = 2**31
EIGHT_NEIGHBOURS = np.ones((3, 3), int)


class Region(NamedTuple):
    """Pixels of one class: `inside` (h, w) with its left upper corner at (`left`, `top`) of the picture.

    The label `BACKGROUND` takes back what was drawn before.
    """

    label: str
    inside: Mask
    top: int = 0
    left: int = 0


@dataclass(frozen=True)
class Picture:
    """A mask with what a model said of it, for a writer.

    Attributes:
        image: posix path of the picture below the folder that was segmented, with its suffix where known.
        name: the same without suffix, unique among the pictures that are written together.
        mask: (H, W), 0 = background, k = k-th class.
        score: probability of any defect; None where no model spoke.
        scores: probability of each class.
        file: where the picture lies, if that is known.
    """

    image: str
    name: str
    mask: ByteArray
    score: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    file: Path | None = None

    @property
    def certainty(self) -> float | None:
        """How sure the model is, from 0.5 (in doubt) to 1, whether it found a defect or not."""
        return None if self.score is None else rounded(max(self.score, 1 - self.score))


@dataclass(frozen=True)
class Annotation:
    """What a file says of one picture; nothing is drawn before it is asked for.

    Attributes:
        image: the picture as the file names it: a path, a URL, or a bare name without suffix.
        regions: given the picture's size, what is drawn on it, later over earlier.
        size: the picture's size, or None where the file does not tell; raises an ImageError where what the
            file says of the picture cannot be read at all.
        labels: classes that occur; None where that is only known when it is drawn.
        score: as in `Picture`.
        scores: as in `Picture`.
        file: as in `Picture`; the size of what lies there must be that of the annotation.
        reviewed: False for what only a model said, where the format tells that apart.
    """

    image: str
    regions: Callable[[Size], Iterable[Region]]
    size: Callable[[], Size | None] = lambda: None
    labels: frozenset[str] | None = None
    score: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    file: Path | None = None
    reviewed: bool = True

    @classmethod
    def unreadable(cls, image: str, reason: str) -> Self:
        """A picture whose annotations are there, but cannot be read: drawing it raises an ImageError."""

        def fail(*_: object) -> Any:  # noqa: ANN401 - never comes back
            raise ImageError(f"{image}: {reason}")

        return cls(image, fail, fail)

    def draw(self, classes: Sequence[str], size: Size | None = None) -> ByteArray:
        """The mask (H, W): 0 = background, k = k-th of `classes`.

        Args:
            classes: names, at most `MOST_CLASSES`.
            size: the picture's, where it is known; by default that of `file`.

        Raises:
            ImageError: the size is unknown or another than the file says, a label is none of the classes,
                nothing that is annotated lies in the picture, or the file's content makes no sense.
        """
        try:
            return self._drawn(classes, *self._size(size))
        except ImageError:
            raise
        except Damaged as error:
            raise ImageError(f"{self.image}: its annotations cannot be drawn: {error}.") from error
        except Exception as error:  # a damaged file may hold anything, and lead decoders to anything
            raise ImageError(
                f"{self.image}: its annotations cannot be drawn, they are damaged. Export them again."
            ) from error

    def _size(self, shown: Size | None) -> Size:
        own = self.size()
        if shown is None and self.file is not None:
            shown = image_size(self.file)
        if own and shown and own != shown:
            raise ImageError(
                f"{self.image}: annotated at {own[1]}x{own[0]} pixels, but has {shown[1]}x{shown[0]}. "
                "Annotate the picture at full size, as it is shown."
            )
        height, width = own or shown or (0, 0)
        if not 0 < height * width < MOST_PIXELS or height < 0:
            raise ImageError(
                f"{self.image}: its annotations do not say how large the picture is. Name the folder of the "
                "pictures with --images."
            )
        return height, width

    def _drawn(self, classes: Sequence[str], height: int, width: int) -> ByteArray:
        values = {BACKGROUND: 0} | {composed(name): k for k, name in enumerate(classes, start=1)}
        mask = np.zeros((height, width), np.uint8)
        outside = []
        for region in self.regions((height, width)):
            value = values.get(composed(region.label))
            if value is None:
                raise ImageError(
                    f"{self.image}: annotated as {region.label}, which is none of the classes "
                    f"{', '.join(classes)}."
                )
            if not _paint(mask, region, value) and region.label != BACKGROUND:
                outside.append(region.label)
        if outside and not mask.any():
            raise ImageError(
                f"{self.image}: {outside[0]} is annotated, but not on a single pixel of {width}x{height}. "
                "Was it annotated at another size, or in another unit?"
            )
        return mask


@dataclass(frozen=True)
class Annotations:
    """All that a file or a folder says.

    Attributes:
        classes: names in the order that the format gives them; those it only uses follow, sorted.
        pictures: one each.
        left_out: count of what the file holds but no mask shows, by kind, such as points.
    """

    classes: tuple[str, ...]
    pictures: tuple[Annotation, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        declared: Iterable[str],
        pictures: Iterable[Annotation],
        left_out: Mapping[str, int] | None = None,
    ) -> Self:
        """Annotations, with the classes that are used but not declared."""
        pictures = tuple(pictures)
        known = tuple(dict.fromkeys(declared))
        used = {label for picture in pictures for label in picture.labels or ()}
        return cls((*known, *sorted(used.difference(known))), pictures, dict(left_out or {}))

    def warn(self, path: Path) -> None:
        """Tell what was left out of a file or a folder, if anything."""
        if self.left_out:
            counts = ", ".join(f"{kind} ({count})" for kind, count in sorted(self.left_out.items()))
            warnings.warn(f"Left out of {path}: {counts}.", stacklevel=3)


def _paint(mask: ByteArray, region: Region, value: int) -> bool:
    """Set the region's pixels, as far as they lie in the picture; whether any does."""
    top, left = max(region.top, 0), max(region.left, 0)
    inside = region.inside[top - region.top :, left - region.left :]
    place = mask[top : top + inside.shape[0], left : left + inside.shape[1]]
    inside = inside[: place.shape[0], : place.shape[1]]
    place[inside] = value
    return bool(inside.any())


def parts(mask: ByteArray, classes: Sequence[str], most: int | None = None) -> Iterator[Region]:
    """Connected parts (8 neighbours) of a mask, class by class, in reading order.

    Args:
        mask: (H, W), 0 = background, k = k-th class.
        classes: names.
        most: of a class; its smallest parts beyond that become one region.
    """
    for k, place in enumerate(ndimage.find_objects(mask)):
        if place is None:
            continue
        labels, count = ndimage.label(mask[place] == k + 1, EIGHT_NEIGHBOURS)
        if most and count > most:
            order = np.argsort(-np.bincount(labels.ravel())[1:], kind="stable")
            number = np.zeros(count + 1, labels.dtype)
            number[order + 1] = np.minimum(np.arange(1, count + 1), most)
            labels = number[labels]
        for part, inner in enumerate(ndimage.find_objects(labels), start=1):
            yield Region(
                classes[k],
                labels[inner] == part,
                place[0].start + inner[0].start,
                place[1].start + inner[1].start,
            )


def score_of(picture: Picture, label: str) -> float | None:
    """Probability of a class in a picture, rounded for a file."""
    return rounded(picture.scores[label]) if label in picture.scores else None


def rounded(value: float) -> float:
    """The value with six significant digits, which is what files need."""
    return float(f"{value:.6g}")


def scores_from(found: Iterable[tuple[str, Any]]) -> dict[str, float]:
    """Highest score of each label among (label, score); what is no probability is left out."""
    scores: dict[str, float] = {}
    for label, value in found:
        if (score := as_score(value)) is not None:
            scores[label] = max(scores.get(label, 0.0), score)
    return scores


def distinct(paths: Sequence[str]) -> list[str]:
    """Each path without its suffix, or with it where two would be the same.

    Raises:
        DataError: a path that is there twice.

    >>> distinct(["a.jpg", "a.png", "b.png", "part.001"])
    ['a.jpg', 'a.png', 'b', 'part.001']
    """
    if twice := [path for path, count in Counter(paths).items() if count > 1]:
        refuse("Pictures that are there twice", twice, "Keep one of each.")
    names = [stem(path) for path in paths]
    while True:
        counts = Counter(names)
        clashing = [index for index, name in enumerate(names) if counts[name] > 1 and name != paths[index]]
        if not clashing:
            return names
        for index in clashing:
            names[index] = paths[index]


def below(path: str) -> str:
    """A path that stays below whatever folder it is joined to: no drive, no root, no `..`, no odd signs.

    >>> below("C:/parts/a.png"), below("/srv/a.png"), below("../../parts/./a.png"), below("..")
    ('parts/a.png', 'srv/a.png', 'parts/a.png', 'picture')
    """
    parts = PurePosixPath(path.replace("\0", "\N{REPLACEMENT CHARACTER}")).parts
    kept = [part for part in parts if part not in ("/", "//", ".", "..")]
    if kept and re.fullmatch(r"[A-Za-z]:", kept[0]):
        kept = kept[1:]
    return "/".join(kept) or "picture"


def stem(path: str) -> str:
    """A posix path without the suffix of a picture."""
    pure = PurePosixPath(path)
    return str(pure.with_suffix("") if pure.suffix.lower() in SUFFIXES else pure)
