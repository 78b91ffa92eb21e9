"""Run-length encoding: how many pixels are outside, then inside, then outside ... in reading order."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from relmask.arrays import IntArray, Mask
from relmask.formats.annotation import Size
from relmask.formats.fields import Damaged


def runs(inside: Mask, size: Size, top: int = 0, left: int = 0) -> tuple[IntArray, IntArray]:
    """First and past-the-last index of every run of a region, counted along the rows of its picture.

    Args:
        inside: (h, w) the region.
        size: of the picture.
        top: row of the region's first row.
        left: column of its first column.
    """
    padded = np.pad(inside, ((0, 0), (1, 1))).astype(np.int8)
    edges = padded[:, 1:] - padded[:, :-1]
    offset = top * size[1] + left
    starts, ends = (
        offset + rows.astype(np.int64) * size[1] + columns
        for rows, columns in map(np.nonzero, (edges > 0, edges < 0))
    )
    apart = starts[1:] != ends[:-1]
    return starts[np.r_[True, apart][: len(starts)]], ends[np.r_[apart, True][: len(ends)]]


def counts(inside: Mask, size: Size, top: int = 0, left: int = 0) -> IntArray:
    """Lengths of the runs of a region of a picture, along the rows, outside first.

    >>> counts(np.array([[True, False], [True, True]]), (2, 2)).tolist()
    [0, 1, 1, 2]
    """
    starts, ends = runs(inside, size, top, left)
    lengths: IntArray = np.diff(np.r_[0, np.stack([starts, ends], 1).ravel(), size[0] * size[1]])
    return lengths if lengths[-1] or len(lengths) == 1 else lengths[:-1]


def drawn(lengths: Sequence[Any] | IntArray, size: Size) -> Mask:
    """The region (H, W) that has these run lengths.

    Raises:
        Damaged: they are no whole numbers, are negative, or do not add up to the size.
    """
    values = _checked(lengths, size)
    return np.repeat(np.arange(len(values)) % 2 == 1, values).reshape(size)


def drawn_band(lengths: Sequence[Any] | IntArray, size: Size) -> tuple[Mask, int]:
    """The rows (h, W) from the first to the last that the region reaches, and the first's number.

    Raises:
        Damaged: as `drawn`.
    """
    values = _checked(lengths, size)
    total, width = size[0] * size[1], size[1]
    before = values[0]
    after = values[-1] if len(values) % 2 and len(values) > 1 else 0
    top, bottom = int(before // width), int(-(-(total - after) // width))
    if before == total:
        return np.zeros((0, width), bool), 0
    values[0] -= top * width
    if after:
        values[-1] -= total - bottom * width
    return drawn(values, (bottom - top, width)), top


def _checked(lengths: Sequence[Any] | IntArray, size: Size) -> IntArray:
    total = size[0] * size[1]
    try:
        values = np.array(lengths)
        whole = values.ndim == 1 and values.dtype.kind in "iu"
    except ValueError:  # lists of several lengths
        whole = False
    if not whole:
        raise Damaged("run lengths should be whole numbers")
    if (values < 0).any() or (values > total).any() or values.sum() != total:  # the second: no sum overflows
        raise Damaged(f"its run lengths do not add up to {size[1]}x{size[0]} pixels")
    return values.astype(np.int64)


def to_text(lengths: IntArray) -> str:
    """COCO's text: from the fourth on as differences to the last but one; 5 bits a character, low first.

    Bit 6 says that more follow, bit 5 of the last is the sign, 48 is added.
    """
    values = lengths.astype(np.int64)
    values[3:] -= lengths[1:-2]
    # All numbers give their next character in one step: a column a step, 0 for those that have ended.
    columns, open_ = [], np.ones(len(values), bool)
    while open_.any():
        low, values = values & 0x1F, values >> 5
        # A number ends when the rest is nothing but its sign, and bit 5 says so.
        more = np.where(low & 0x10, values != -1, values != 0)
        columns.append(np.where(open_, low + 48 + 32 * more, 0))
        open_ = open_ & more
    characters = np.stack(columns, 1).astype(np.uint8)
    return characters[characters > 0].tobytes().decode("ascii")


def from_text(text: str) -> IntArray:
    """The run lengths that `to_text` wrote.

    Raises:
        Damaged: it is none of that.
    """
    digits = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8).astype(np.int64) - 48
    if not len(digits):
        return np.zeros(0, np.int64)
    last = (digits & 0x20) == 0
    if (digits < 0).any() or (digits > 0x3F).any() or not last[-1]:
        raise Damaged("the text of its run lengths is damaged")
    first = np.flatnonzero(np.r_[True, last[:-1]])
    width = np.diff(np.r_[first, len(digits)])
    if width.max() > 12:
        raise Damaged("the text of its run lengths is damaged")
    # The 5 bits of each character, shifted to their place within their number, are added up number by number.
    place = np.arange(len(digits)) - np.repeat(first, width)
    values = np.add.reduceat((digits & 0x1F) << (5 * place), first)
    # Two's complement: where the highest bit of the last character is set, the number is negative.
    values -= np.where(digits[last] & 0x10, np.int64(1) << (5 * width), 0)
    # Undo the differences: they are to the last but one, so odd and even places add up apart.
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values
