"""A decoded picture: all that its file says about the pixels, before anybody cuts or scales them."""

from dataclasses import dataclass

import numpy as np

from relmask.arrays import AnyArray, Pixels


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

    values: AnyArray
    alpha: AnyArray | None = None
    indices: AnyArray | None = None
    lossy: bool = False
    ignored: int = 0

    def pixels(self) -> Pixels:
        """The values as uint8 or uint16 where they are that, True as 255, and as float32 else."""
        if self.values.dtype == bool:
            return self.values.astype(np.uint8) * np.uint8(255)
        if self.values.dtype.kind == "u" and self.values.dtype.itemsize < 4:
            return self.values.astype(self.values.dtype.newbyteorder("="), copy=False)
        return self.values.astype(np.float32)
