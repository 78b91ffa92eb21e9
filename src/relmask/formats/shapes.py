"""What is annotated on one picture, shape by shape: drawn when it is asked for, left out, or damaged.

A reader of a format says what one shape is. What has no area (`NoArea`) is counted and left out, and so is a
box (`BoxOnly`) where a mask should be. What makes no sense (`Damaged`) is kept until its picture is drawn,
which then fails alone.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, NoReturn, TypeVar

from relmask.arrays import DoubleArray, Mask
from relmask.formats.annotation import BACKGROUND, Annotation, Region, Size, scores_from
from relmask.formats.fields import Damaged, damage_at
from relmask.formats.polygons import fill

BOXES = "boxes without a mask"

Item = TypeVar("Item")


class NoArea(Exception):
    """A shape covers no pixels; the message is its kind, in the plural."""


class BoxOnly(NoArea):
    """A box says that something is there, but not which pixels it covers."""

    def __init__(self) -> None:
        super().__init__(BOXES)


class Shape(NamedTuple):
    """A shape that may have an area.

    Attributes:
        label: its class, or `BACKGROUND`.
        draw: given the picture's size, what is inside (h, w), with the top and the left of that; None where
            nothing is. Raises `Damaged`.
        score: probability of its class, as the document has it; what is none counts as none.
        place: in the document, for errors.
    """

    label: str
    draw: Callable[[Size], tuple[Mask, int, int] | None]
    score: object = None
    place: str = ""


def gather(
    items: Iterable[tuple[str, Item]], read: Callable[[Item], Shape], left_out: Counter[str]
) -> list[Shape]:
    """The shapes of one picture.

    Args:
        items: what the document says, one a shape, each after its place, such as "line 3".
        read: what makes a shape of an item, and raises `NoArea`, `BoxOnly` or `Damaged`.
        left_out: counts what has no area, by kind.
    """
    shapes: list[Shape] = []
    boxes = 0
    for place, item in items:
        try:
            shapes.append(read(item)._replace(place=place))
        except NoArea as found:
            left_out[str(found)] += 1
            boxes += isinstance(found, BoxOnly)
        except Damaged as error:
            shapes.append(_damaged(place, error))
    if boxes and not shapes:  # the picture is not without defects, either
        shapes.append(_damaged("", Damaged("it has boxes only, and no mask")))
    return shapes


def _damaged(place: str, error: Damaged) -> Shape:
    def fail(size: Size) -> NoReturn:
        raise error

    return Shape(BACKGROUND, fail, place=place)


def annotation(image: str, shapes: Sequence[Shape], **more: Any) -> Annotation:  # noqa: ANN401 - of several types
    """What is said of a picture: its shapes, and other fields of `Annotation`."""
    return Annotation(
        image=image,
        regions=partial(_regions, shapes),
        labels=frozenset(shape.label for shape in shapes if shape.label != BACKGROUND),
        scores=scores_from((shape.label, shape.score) for shape in shapes if shape.label != BACKGROUND),
        **more,
    )


def _regions(shapes: Sequence[Shape], size: Size) -> Iterator[Region]:
    for shape in shapes:
        with damage_at(shape.place):
            drawn = shape.draw(size)
        if drawn is not None:
            yield Region(shape.label, *drawn)


def polygon(label: str, loop: DoubleArray, score: object = None) -> Shape:
    """What corners (N, 2) in pixels enclose.

    Raises:
        NoArea: nothing.
    """
    require_area(loop)
    return Shape(label, lambda size: fill([loop], size), score)


def require_area(loop: DoubleArray) -> None:
    """Check that corners (N, 2) may enclose something: three or more, not all in one row or column.

    Raises:
        NoArea: they enclose nothing.
    """
    if len(loop) < 3 or not (loop.max(0) > loop.min(0)).all():
        raise NoArea("polygons without area")


def unless_empty(inside: Mask, top: int = 0, left: int = 0) -> tuple[Mask, int, int] | None:
    """What a `Shape` draws of a mask (h, w) and its place; a brush may have been erased again."""
    return (inside, top, left) if inside.any() else None
