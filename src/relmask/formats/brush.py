"""Label Studio's brush: a run-length code of a picture's RGBA bytes, packed bit by bit.

The code is that of @thi.ng/rle-pack: 32 bits for the number of values, 5 for the bits of a value less one,
four times 4 for the bits of a length less one; then blocks of one bit (1: a value repeated, 0: values as they
are), 2 bits that choose one of the four lengths, the length less one, and the value or the values. Bits are
written from the highest on. A pixel is in the mask if its alpha is at least half.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from relmask.formats.annotation import Inside, Size
from relmask.formats.runs import counts

_LENGTH_BITS = np.array([3, 4, 8, 16])
_LONGEST = 2**16
_HEADER = 32 + 5 + 4 * 4


def encode(inside: Inside, size: Size, top: int = 0, left: int = 0) -> list[int]:
    """Bytes of a region (h, w) of a picture whose left upper corner is at (`left`, `top`)."""
    lengths = 4 * counts(inside, size, top, left)
    values = np.arange(len(lengths)) % 2 * 255
    values, lengths = values[lengths > 0], lengths[lengths > 0]
    blocks = -(-lengths // _LONGEST)
    values = np.repeat(values, blocks)
    short = np.full(len(values), _LONGEST)
    short[np.cumsum(blocks) - 1] = lengths - (blocks - 1) * _LONGEST
    choice = np.searchsorted(2**_LENGTH_BITS, short)
    bits = _LENGTH_BITS[choice]
    header = 4 * size[0] * size[1] << 21 | 7 << 16
    for place, length in enumerate(_LENGTH_BITS.tolist()):
        header |= length - 1 << 12 - 4 * place
    codes = np.r_[header, (((4 | choice) << bits | short - 1) << 8 | values)]
    return np.packbits(_bits(codes, np.r_[_HEADER, 3 + bits + 8])).tolist()


def _bits(codes: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Codes one after the other, each as so many bits."""
    past = np.repeat(np.cumsum(lengths), lengths)
    shift = past - 1 - np.arange(lengths.sum())
    return (np.repeat(codes, lengths) >> shift & 1).astype(np.uint8)


def decode(code: Sequence[int], size: Size) -> tuple[Inside, int]:
    """The pixels that such bytes cover, and the number of their first row.

    They are the rows (h, W) of the picture from the first to the last that is not empty.

    Raises:
        ValueError: they are damaged, or of another size.
    """
    stream = _Stream(np.array(code, np.uint8).tobytes())
    number, word = stream.read(32), stream.read(5) + 1
    sizes = [stream.read(4) + 1 for _ in range(4)]
    if number != 4 * size[0] * size[1] or word != 8:
        raise ValueError(f"its brush code holds {number} values, not those of {size[1]}x{size[0]} pixels")
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
        raise ValueError("its brush code is damaged")
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
            raise ValueError("its brush code ends too early")
        window = int.from_bytes(self._content[self._at // 8 : -(-end // 8)], "big")
        self._at = end
        return window >> -end % 8 & (1 << bits) - 1

    def read_bytes(self, count: int) -> NDArray[np.uint8]:
        """The next so many times 8 bits."""
        return np.frombuffer(self.read(8 * count).to_bytes(count, "big"), np.uint8)
