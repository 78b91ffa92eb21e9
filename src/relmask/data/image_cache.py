"""The pictures of a split as tensors of one size, kept in memory as far as they fit."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from relmask.data.index import Sample
from relmask.data.reading import Intensity, read_image
from relmask.data.resizing import to_tensor


class ImageCache:
    """Pictures (3, size, size) in [0, 1], read when first asked for.

    Args:
        samples: what to read.
        size: side in pixels that every picture is resized to.
        intensity: range of high-bit-depth pictures.
        memory: bytes that may be kept; pictures past it are read each time.
    """

    def __init__(
        self, samples: Sequence[Sample], size: int, intensity: Intensity, memory: int = 2_000_000_000
    ) -> None:
        self.samples = tuple(samples)
        self.size = size
        self.intensity = intensity
        self._room = memory // (3 * size * size * 2)
        self._kept: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self.samples)

    def batch(self, indices: Sequence[int]) -> Tensor:
        """Pictures (N, 3, size, size) in [0, 1], float32.

        Raises:
            ImageError: a picture cannot be read.
        """
        with ThreadPoolExecutor(2) as threads:
            return torch.stack([picture.float() for picture in threads.map(self._picture, indices)])

    def _picture(self, index: int) -> Tensor:
        if index not in self._kept:
            picture = to_tensor(read_image(self.samples[index].path, self.intensity), self.size).half()
            if len(self._kept) >= self._room:
                return picture
            self._kept[index] = picture
        return self._kept[index]
