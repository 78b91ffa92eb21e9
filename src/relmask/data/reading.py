"""Pictures as numbers in [0, 1], on a scale that is the same for all pictures of a run."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import Field, model_validator

from relmask.arrays import DoubleArray, FloatArray, Pixels
from relmask.data.decoding import is_deep, read_pixels
from relmask.errors import ImageError
from relmask.record import Record

MOST_PIXELS = 2**24
"""A batch is closed when it holds this many, so that large pictures do not fill the memory."""
_SAMPLED_PICTURES = 256
_SAMPLED_PIXELS = 40_000


Read = TypeVar("Read")


class Intensity(Record):
    """Range that values of 16-bit, 32-bit and float pictures are mapped from, to 0..1.

    8-bit pictures are always mapped from 0..255. A run measures the range once, on its training pictures, and
    keeps it: it is never chosen for one picture, since a dark part must stay dark.
    """

    low: float = Field(default=0.0, description="Value that becomes 0.")
    high: float = Field(default=65535.0, description="Value that becomes 1.")

    @model_validator(mode="after")
    def _ordered(self) -> "Intensity":
        if self.low >= self.high:
            raise ValueError(f"low must be under high, got {self.low} and {self.high}")
        return self


DEFAULT = Intensity()


def read_image(path: Path, intensity: Intensity = DEFAULT) -> FloatArray:
    """Picture (H, W, 3) in [0, 1], turned as its EXIF orientation says; grey is repeated.

    What formats are read and how is told by `decoding.read_pixels`.

    Args:
        path: the file; of several pages or frames, the first.
        intensity: range of high-bit-depth pictures; values outside are clipped, NaN becomes 0.

    Raises:
        ImageError: the file is no picture, is damaged or too large, or may not be read.
    """
    return scaled(read_pixels(path), intensity)


def scaled(pixels: Pixels, intensity: Intensity = DEFAULT) -> FloatArray:
    """Pixels as `read_pixels` gives them, as a picture (H, W, 3) in [0, 1]; see `read_image`."""
    if pixels.dtype == np.uint8:
        values = pixels.astype(np.float32) / np.float32(255)
    else:
        wide = (pixels.astype(np.float64) - intensity.low) / (intensity.high - intensity.low)
        values = np.nan_to_num(wide, nan=0.0).clip(0, 1).astype(np.float32)
    return values if values.ndim == 3 else np.repeat(values[:, :, None], 3, axis=2)


def batched(read: Iterable[Read], count: int, pixels: Callable[[Read], int]) -> Iterator[list[Read]]:
    """Batches of pictures that are read as they are needed.

    Args:
        read: pictures, with whatever belongs to them.
        count: pictures in a batch; fewer where they have more than `MOST_PIXELS` together.
        pixels: how many one has.
    """
    batch: list[Read] = []
    held = 0
    for one in read:
        batch.append(one)
        held += pixels(one)
        if len(batch) == count or held >= MOST_PIXELS:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def measure_intensity(paths: Sequence[Path]) -> Intensity:
    """Range that high-bit-depth training pictures use, rounded outwards; 0..65535 if there are none.

    The range holds 99.8 % of a sample of all their pixels together, and a tenth more on both sides as far as
    values go, so that a few dead pixels do not decide it. Pictures that cannot be read are passed over.

    Args:
        paths: training pictures; of many, evenly spaced ones are read.
    """
    deep = [path for path in sorted(paths) if is_deep(path)]
    evenly = deep[:: max(1, math.ceil(len(deep) / _SAMPLED_PICTURES))]
    samples = [_sampled(path) for path in evenly]
    values = np.concatenate(samples) if samples else np.empty(0)
    if not values.size:
        return DEFAULT
    low, high = np.percentile(values, (0.1, 99.9))
    margin = (high - low) / 10
    return _rounded(float(max(low - margin, values.min())), float(min(high + margin, values.max())))


def _sampled(path: Path) -> DoubleArray:
    """Some finite values of a high-bit-depth picture; none if it cannot be read, or is not one after all."""
    try:
        pixels = read_pixels(path)
    except ImageError:
        return np.empty(0)
    if pixels.dtype == np.uint8:
        return np.empty(0)
    values = pixels.reshape(-1)[:: max(1, pixels.size // _SAMPLED_PIXELS)].astype(np.float64)
    return values[np.isfinite(values)]


def _rounded(low: float, high: float) -> Intensity:
    """Both to two digits of their distance, away from each other."""
    if high - low <= 1e-6 * max(abs(low), abs(high)):
        return Intensity(low=low, high=low + max(1.0, abs(low)))
    step = 10.0 ** (math.floor(math.log10(high - low)) - 1)
    digits = max(0, -round(math.log10(step)))
    return Intensity(
        low=round(math.floor(low / step) * step, digits), high=round(math.ceil(high / step) * step, digits)
    )
