"""Names for the types of arrays that pass between functions; a docstring adds the shape and the range.

A name tells the type of the values only: a `FloatArray` may be an image (H, W, 3) in [0, 1] or relevance
(H, W) in logits, a `ByteArray` an 8-bit image or a map of classes (0 = background).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
"""float32: images, relevance, features."""

DoubleArray = NDArray[np.float64]
"""float64: logits, statistics, coordinates."""

FloatingArray = NDArray[np.floating]
"""Floats of any precision, for what is given by others."""

Mask = NDArray[np.bool_]
"""True inside."""

ByteArray = NDArray[np.uint8]
"""uint8: maps of classes, 8-bit images."""

IntArray = NDArray[np.int64]
"""int64: counts, indices."""

IntegerArray = NDArray[np.integer]
"""Integers of any size, for what is given by others."""

AnyArray = NDArray[Any]
"""Whatever a file or a caller gave; what it may be is checked next."""

Pixels = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]
"""An image as its file holds it: (H, W) or (H, W, 3), 0..255, 0..65535 or any float."""
