"""Connected parts of a mask."""

from collections.abc import Sequence
from dataclasses import dataclass

from skimage.measure import label, regionprops

from relmask.arrays import ByteArray


@dataclass(frozen=True)
class Component:
    """One connected part of one class.

    Attributes:
        label: name of its class.
        area: in pixels.
        box: left, top, right, bottom in pixels; right and bottom are the first column and row outside.
    """

    label: str
    area: int
    box: tuple[int, int, int, int]


def find_components(mask: ByteArray, classes: Sequence[str]) -> tuple[Component, ...]:
    """Components (8-connected) of a mask (H, W), 0 = background, k = k-th of `classes`; largest first."""
    found = []
    for region in regionprops(label(mask, connectivity=2)):
        top, left, bottom, right = region.bbox
        row, column = region.coords[0]
        found.append(Component(classes[mask[row, column] - 1], int(region.area), (left, top, right, bottom)))
    return tuple(sorted(found, key=lambda component: -component.area))
