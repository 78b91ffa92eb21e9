"""Large pictures in windows, and their maps put together again."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from relmask.arrays import FloatArray


@dataclass(frozen=True, slots=True)
class Window:
    """Upper left corner of a square window, in pixels."""

    top: int
    left: int

    def inside(self, size: int) -> tuple[slice, slice]:
        """Rows and columns of the window in its picture."""
        return slice(self.top, self.top + size), slice(self.left, self.left + size)


def windows(height: int, width: int, size: int, stride: int) -> list[Window]:
    """Windows of `size` pixels that cover a picture, row by row; the last ones end at its border.

    A picture smaller than `size` gets one window, which reaches past it.

    Raises:
        ValueError: nothing to cover, or a stride that would leave gaps.

    Example:
        >>> [window.left for window in windows(96, 250, size=96, stride=96)]
        [0, 96, 154]
    """
    if height < 1 or width < 1:
        raise ValueError(f"a picture of {width}x{height} pixels has no windows")
    if not 1 <= stride <= size:
        raise ValueError(f"stride must be from 1 to the window's size {size}, got {stride}")
    return [
        Window(top, left) for top in _starts(height, size, stride) for left in _starts(width, size, stride)
    ]


def across(places: Sequence[Window]) -> int:
    """How many of the windows that `windows` gave lie side by side; 1 of a picture that has none."""
    return max(1, sum(place.top == places[0].top for place in places))


def _starts(length: int, size: int, stride: int) -> list[int]:
    if length <= size:
        return [0]
    return [*range(0, length - size, stride), length - size]


class Blend:
    """Weighted average of overlapping maps; takes the memory of one map, however many windows there are.

    Args:
        shape: (..., H, W) of the whole map.
        taper: share of a window's side, up to a half, over which its weight falls towards its border,
            where a network sees least; 0 = a plain average.

    Example:
        >>> blend = Blend((1, 3))
        >>> blend.add(Window(0, 0), np.float32([[1, 1]]))
        >>> blend.add(Window(0, 1), np.float32([[3, 3]]))
        >>> blend.result().tolist()
        [[1.0, 2.0, 3.0]]
    """

    def __init__(self, shape: Sequence[int], taper: float = 0.0) -> None:
        if not 0 <= taper <= 0.5:
            raise ValueError(f"taper must be from 0 to 0.5, got {taper}")
        self.taper = taper
        self._sum = np.zeros(shape, np.float32)
        self._weight = np.zeros(tuple(shape)[-2:], np.float32)

    def add(self, window: Window, values: FloatArray) -> None:
        """Add the map (..., h, w) of a window; what reaches past the whole map is left out."""
        weight = np.outer(*(_ramp(length, self.taper) for length in values.shape[-2:]))
        rows = slice(window.top, window.top + weight.shape[0])
        columns = slice(window.left, window.left + weight.shape[1])
        height, width = self._weight[rows, columns].shape
        values, weight = values[..., :height, :width], weight[:height, :width]
        self._sum[..., rows, columns] += values * weight
        self._weight[rows, columns] += weight

    def result(self) -> FloatArray:
        """The average (..., H, W); 0 where no window was."""
        return np.divide(self._sum, self._weight, out=np.zeros_like(self._sum), where=self._weight > 0)


def _ramp(length: int, taper: float) -> FloatArray:
    """Weights (length,), 1 in the middle and falling over `taper` of the length to both ends, never to 0."""
    from_end = np.minimum(np.arange(length), np.arange(length)[::-1]) + 0.5
    return np.minimum(1, from_end / max(taper * length, 0.5)).astype(np.float32)
