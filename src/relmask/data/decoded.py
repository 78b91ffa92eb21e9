"""What decoders give: everything that a file says about its pixels, before anybody cuts or scales it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relmask.arrays import Pixels


@dataclass(frozen=True, slots=True)
class Decoded:
    """One picture of a file, turned as its EXIF orientation says.

    Attributes:
        values: (H, W) grey or (H, W, 3) RGB as a person sees them, 0 is black; bool, whole numbers or floats.
        alpha: (H, W), 0 where nothing is to be seen; None where everything is opaque.
        indices: (H, W) of a palette, whose colours `values` holds; None without one.
        lossy: the file is of a kind that does not keep values exactly.
        ignored: how many channels a TIFF has beside those of its colours and alpha.
    """

    values: NDArray[Any]
    alpha: NDArray[Any] | None = None
    indices: NDArray[Any] | None = None
    lossy: bool = False
    ignored: int = 0

    def pixels(self) -> Pixels:
        """The values as uint8 or uint16 where they are that, True as 255, and as float32 else."""
        if self.values.dtype == bool:
            return self.values.astype(np.uint8) * np.uint8(255)
        if self.values.dtype.kind == "u" and self.values.dtype.itemsize < 4:
            return self.values.astype(self.values.dtype.newbyteorder("="), copy=False)
        return self.values.astype(np.float32)
