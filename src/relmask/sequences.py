"""Parts of what is too much at once: all of it in batches, or an even sample."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The items in order, `size` at a time; the last batch may be smaller.

    >>> [*batches(range(5), 2)]
    [range(0, 2), range(2, 4), range(4, 5)]
    """
    return (items[start : start + size] for start in range(0, len(items), size))


def evenly(count: int, most: int) -> NDArray[np.intp]:
    """Positions of at most `most` of `count` items, evenly spread from the first to the last.

    >>> evenly(10, 4), evenly(2, 4)
    (array([0, 3, 6, 9]), array([0, 1]))
    """
    return np.linspace(0, count - 1, min(count, most)).astype(np.intp)
