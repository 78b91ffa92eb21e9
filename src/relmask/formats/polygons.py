"""Masks as polygons along the edges of their pixels, and polygons as masks.

Corners are whole numbers: pixel (x, y) is the square from (x, y) to (x + 1, y + 1). A pixel is inside a
polygon if its centre is (even-odd rule), so a mask that was traced comes back exactly, parts of one pixel
too. Pixels that touch at a corner only are different polygons.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from relmask.arrays import DoubleArray, IntArray, Mask
from relmask.formats.annotation import Size
from relmask.formats.fields import Damaged

Loop = IntArray
"""(N, 2) corners, x and y."""


@dataclass(frozen=True)
class Polygon:
    """One part (4 neighbours) of a mask: its outer border, clockwise, and those of its holes."""

    outer: Loop
    holes: tuple[Loop, ...] = ()


def trace(inside: Mask) -> list[Polygon]:
    """Borders of the parts of a mask (H, W)."""
    labels, count = ndimage.label(inside)
    outer: list[Loop | None] = [None] * count
    holes: list[list[Loop]] = [[] for _ in range(count)]
    for loop, (row, column) in _loops(inside):
        part = labels[row, column] - 1
        x, y = loop.T
        if np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) > 0:
            outer[part] = loop
        else:
            holes[part].append(loop)
    return [Polygon(o, tuple(h)) for o, h in zip(outer, holes, strict=True) if o is not None]


def without_holes(inside: Mask) -> Iterator[Loop]:
    """Borders of pieces that have no holes and make up the mask (H, W).

    A part with holes is cut along the rows: every cut passes through the first row of a hole.
    """
    for polygon in trace(inside):
        if not polygon.holes:
            yield polygon.outer
            continue
        part, top, left = fill([polygon.outer, *polygon.holes], inside.shape)
        tops = sorted(int(hole[:, 1].min()) for hole in polygon.holes)
        cut = tops[len(tops) // 2] + 1 - top
        for piece, offset in ((part[:cut], top), (part[cut:], top + cut)):
            for loop in without_holes(piece):
                yield loop + np.array([left, offset])


def fill(loops: Sequence[ArrayLike], size: Size) -> tuple[Mask, int, int]:
    """The pixels inside closed loops, as far as they lie in a picture: (h, w), and its top and left.

    Args:
        loops: (N, 2) corners each, x and y in pixels.
        size: of the picture.

    Raises:
        Damaged: fewer than three corners, or ones that are not finite.
    """
    begin, end = _edges(loops)
    low, high = np.minimum(begin[:, 1], end[:, 1]), np.maximum(begin[:, 1], end[:, 1])
    first = np.ceil(low - 0.5).clip(0, size[0]).astype(np.int64)
    past = np.ceil(high - 0.5).clip(0, size[0]).astype(np.int64)
    crossed = past > first
    if not crossed.any():
        return np.zeros((0, 0), bool), 0, 0
    begin, end, first, past = begin[crossed], end[crossed], first[crossed], past[crossed]
    count = past - first
    rows = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count - first, count)
    slope = (end[:, 0] - begin[:, 0]) / (end[:, 1] - begin[:, 1])
    at = np.repeat(begin[:, 0], count) + (rows + 0.5 - np.repeat(begin[:, 1], count)) * np.repeat(
        slope, count
    )
    columns = np.ceil(at - 0.5).clip(0, size[1]).astype(np.int64)
    top, left = int(rows.min()), int(columns.min())
    shape = (int(rows.max()) + 1 - top, int(columns.max()) + 1 - left)
    crossings = np.zeros(shape, np.uint8)
    np.bitwise_xor.at(crossings, (rows - top, columns - left), 1)
    inside = np.bitwise_xor.accumulate(crossings, axis=1)[:, :-1].astype(bool)
    return inside, top, left


def _edges(loops: Sequence[ArrayLike]) -> tuple[DoubleArray, DoubleArray]:
    begins = [np.asarray(loop, np.float64).reshape(-1, 2) for loop in loops]
    if any(len(loop) < 3 or not np.isfinite(loop).all() for loop in begins):
        raise Damaged("a polygon needs three corners")
    return np.concatenate(begins), np.concatenate([np.roll(loop, -1, axis=0) for loop in begins])


def _loops(inside: Mask) -> Iterator[tuple[Loop, tuple[int, int]]]:
    """Closed borders with the inside on their right hand, and a pixel inside beside each.

    The border is made of straight runs, horizontal and vertical in turn. Where two pixels touch at a corner
    only, a border turns right, which keeps them apart.
    """
    # A border runs where the mask steps from 0 to 1 or back, from one row or column to the next. With the
    # inside on the right hand, a step up (+1) between rows goes right, and between columns it goes up, so
    # that sign is turned round: +1 goes right or down.
    padded = np.pad(inside.astype(np.int8), 1)
    width = inside.shape[1] + 1
    across = _straight(np.diff(padded[:, 1:-1], axis=0))
    down = _straight(np.diff(padded[1:-1], axis=1).T)[:, [1, 0, 2, 3]]  # back from columns to rows first
    down[:, 3] *= -1
    if not len(across):
        return
    horizontal = np.arange(len(across) + len(down)) < len(across)
    row, column, length, sign = np.concatenate([across, down]).T
    far_row, far_column = row + np.where(horizontal, 0, length), column + np.where(horizontal, length, 0)
    # Corners are numbered along the rows, so that ends of runs can be compared and looked up.
    near, far = row * width + column, far_row * width + far_column
    start, stop = np.where(sign > 0, near, far), np.where(sign > 0, far, near)
    right, below, left, up = range(4)  # in the order of right turns
    heading = np.where(horizontal, np.where(sign > 0, right, left), np.where(sign > 0, below, up))
    # A corner and a heading are one key: the run that leaves a corner in a heading, if there is one.
    follower = _followers(start * 4 + heading, stop, heading).tolist()
    # Each run has one follower, so following them closes a loop; every loop has a horizontal run.
    done = bytearray(len(follower))
    for begin in range(len(across)):
        if done[begin]:
            continue
        members, at = [], begin
        while not done[at]:
            done[at] = 1
            members.append(at)
            at = follower[at]
        corners = start[members]
        pixel = (int(row[begin]) - (0 if sign[begin] > 0 else 1), int(column[begin]))
        yield np.stack([corners % width, corners // width], 1), pixel


def _straight(steps: NDArray[np.int8]) -> Loop:
    """Runs (row, column, length, sign) of equal steps, not zero, along the rows."""
    changes = np.diff(steps, axis=1, prepend=0, append=0) != 0
    edged = np.pad(steps, ((0, 0), (1, 1)))
    rows, begins = np.nonzero(changes & (edged[:, 1:] != 0))
    _, ends = np.nonzero(changes & (edged[:, :-1] != 0))
    return np.stack([rows, begins, ends - begins, edged[rows, begins + 1]], 1).astype(np.int64)


def _followers(keys: Loop, stop: Loop, heading: Loop) -> Loop:
    """For each run the one that goes on from its end: to the right where there is one, else to the left."""
    order = np.argsort(keys)
    ordered = keys[order]

    def find(turn: int) -> tuple[Loop, Mask]:
        wanted = stop * 4 + (heading + turn) % 4
        place = np.searchsorted(ordered, wanted).clip(max=len(ordered) - 1)
        return order[place], ordered[place] == wanted

    right, there = find(1)
    left, _ = find(3)
    return np.where(there, right, left)


def rectangle(left: float, top: float, right: float, bottom: float) -> DoubleArray:
    """Corners (4, 2) of an upright rectangle."""
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)


def ellipse(x: float, y: float, radius_x: float, radius_y: float) -> DoubleArray:
    """Corners (180, 2) on an ellipse around (x, y)."""
    angles = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    return np.stack([x + radius_x * np.cos(angles), y + radius_y * np.sin(angles)], 1)


def rotated(corners: DoubleArray, degrees: float, x: float, y: float) -> DoubleArray:
    """Corners (N, 2) turned clockwise, as a picture is seen, around (x, y)."""
    cosine, sine, centre = np.cos(np.radians(degrees)), np.sin(np.radians(degrees)), np.array([x, y])
    turned: DoubleArray = (corners - centre) @ np.array([[cosine, sine], [-sine, cosine]]) + centre
    return turned
