"""Colours of the classes in a mask."""

import numpy as np

from relmask.arrays import ByteArray

# Okabe and Ito's colours, apart for colour-blind eyes too; the order is that of the classes.
_COLOURS = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (204, 121, 167),
    (213, 94, 0),
    (0, 114, 178),
)


def class_colours(classes: int) -> ByteArray:
    """RGB (classes + 1, 3) of mask values: black for the background, then a colour a class, repeating."""
    rows = [(0, 0, 0), *(_COLOURS[k % len(_COLOURS)] for k in range(classes))]
    return np.array(rows, np.uint8)
