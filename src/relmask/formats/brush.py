"""Label Studio's brush: a run-length code of a picture's RGBA bytes, packed bit by bit.

The code is that of @thi.ng/rle-pack: 32 bits for the number of values, 5 for the bits of a value less one,
four times 4 for the bits of a length less one; then blocks of one bit (1: a value repeated, 0: values as they
are), 2 bits that choose one of the four lengths, the length less one, and the value or the values. Bits are
written from the highest on. A pixel is in the mask if its alpha is at least half.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from relmask.arrays import ByteArray, IntArray, Mask
from relmask.formats.annotation import Size
from relmask.formats.fields import Damaged
from relmask.formats.runs import counts

_LENGTH_BITS = np.array([3, 4, 8, 16])
_LONGEST = 2**16
_HEADER = 32 + 5 + 4 * 4


def encode(inside: Mask, size: Size, top: int = 0, left: int = 0) -> list[int]:
    """Bytes of a region (h, w) of a picture whose left upper corner is at (`left`, `top`)."""
    lengths = 4 * counts(inside, size, top, left)  # all four bytes of a pixel are 0, or 255
    values = np.arange(len(lengths)) % 2 * 255
    values, lengths = values[lengths > 0], lengths[lengths > 0]
    # A run that is too long for a block becomes full blocks and one with the rest.
    blocks = -(-lengths // _LONGEST)
    values = np.repeat(values, blocks)
    short = np.full(len(values), _LONGEST)
    short[np.cumsum(blocks) - 1] = lengths - (blocks - 1) * _LONGEST
    choice = np.searchsorted(2**_LENGTH_BITS, short)
    bits = _LENGTH_BITS[choice]
    header = ((4 * size[0] * size[1]) << 21) | (7 << 16)
    for place, length in enumerate(_LENGTH_BITS.tolist()):
        header |= (length - 1) << (12 - 4 * place)
    # A block: the bit 1 (a value repeated) and two of the choice, the length less one, the value.
    codes = np.r_[header, ((((4 | choice) << bits) | (short - 1)) << 8) | values]
    return np.packbits(_bits(codes, np.r_[_HEADER, 3 + bits + 8])).tolist()


def _bits(codes: IntArray, lengths: IntArray) -> ByteArray:
    """Codes one after the other, each as so many bits, the highest first."""
    past = np.repeat(np.cumsum(lengths), lengths)
    shift = past - 1 - np.arange(lengths.sum())
    return ((np.repeat(codes, lengths) >> shift) & 1).astype(np.uint8)


def decode(code: Sequence[Any], size: Size) -> tuple[Mask, int]:
    """The pixels that such bytes cover, and the number of their first row.

    They are the rows (h, W) of the picture from the first to the last that is not empty.

    Raises:
        Damaged: they are no bytes, are damaged, or of another size.
    """
    if not all(type(byte) is int and 0 <= byte <= 255 for byte in code):
        raise Damaged("a brush code should be numbers from 0 to 255")
    stream = _Stream(bytes(code))
    number, word = stream.read(32), stream.read(5) + 1
    sizes = [stream.read(4) + 1 for _ in range(4)]
    if number != 4 * size[0] * size[1] or word != 8:
        raise Damaged(f"its brush code holds {number} values, not those of {size[1]}x{size[0]} pixels")
    values, lengths, done = [np.zeros(0, np.uint8)], [np.zeros(0, np.int64)], 0
    while done < number:
        repeated = stream.read(1)
        length = stream.read(sizes[stream.read(2)]) + 1
        done += length
        if repeated:
            values.append(np.array([stream.read(8)], np.uint8))
            lengths.append(np.array([length]))
        else:
            values.append(stream.read_bytes(length))
            lengths.append(np.ones(length, np.int64))
    if done != number:
        raise Damaged("its brush code is damaged")
    # What lies between the first and the last value that is not 0 decides which rows are unpacked.
    value, repeats = np.concatenate(values), np.concatenate(lengths)
    (filled,) = np.nonzero(value)
    if not len(filled):
        return np.zeros((0, size[1]), bool), 0
    ends, row = np.cumsum(repeats), 4 * size[1]
    top, bottom = (ends - repeats)[filled[0]] // row, -(-ends[filled[-1]] // row)
    clipped = np.diff(np.r_[top * row, ends.clip(top * row, bottom * row)])
    flat = np.repeat(value, clipped)
    return flat[3::4].reshape(-1, size[1]) >= 128, int(top)


class _Stream:
    """Bits of bytes, the highest of each first."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def read(self, bits: int) -> int:
        """The next so many bits as a number."""
        end = self._at + bits
        if end > 8 * len(self._content):
            raise Damaged("its brush code ends too early")
        window = int.from_bytes(self._content[self._at // 8 : -(-end // 8)], "big")
        self._at = end
        return (window >> (-end % 8)) & ((1 << bits) - 1)

    def read_bytes(self, count: int) -> ByteArray:
        """The next `count` times 8 bits, a value each."""
        return np.frombuffer(self.read(8 * count).to_bytes(count, "big"), np.uint8)
