"""Pictures together with maps of what their pixels show."""

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from relmask.arrays import ByteArray, FloatArray
from relmask.data.augmentation import augment_mapped
from relmask.data.index import Sample
from relmask.data.reading import read_image
from relmask.data.resizing import to_tensor
from relmask.models.bundle import Input

VOID = 255
"""Value in a map of a pixel of which it is not known what it shows."""
MEMORY = 2_000_000_000
"""Bytes of images, and of maps, that are kept as they are: pictures of windows may have any size."""


class Tensors(Protocol):
    """A list of tensors, or what makes them when asked for one."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> Tensor: ...


class Images:
    """Images (3, H, W) uint8 of pictures as the model's input; those past a budget are read again each time.

    Args:
        samples: the pictures.
        spec: how a picture becomes the model's input.
        memory: bytes of images that are kept.
    """

    def __init__(self, samples: Sequence[Sample], spec: Input, memory: int = MEMORY) -> None:
        self._samples = samples
        self._intensity = spec.intensity
        self._size = None if spec.windows else spec.size
        self._room = memory
        self._kept: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, number: int) -> Tensor:
        """The image of a picture.

        Raises:
            ImageError: the picture cannot be read any more.
        """
        if number in self._kept:
            return self._kept[number]
        return self.of(number, read_image(self._samples[number].path, self._intensity))

    def of(self, number: int, picture: FloatArray) -> Tensor:
        """The image of a picture (H, W, 3) in [0, 1] that has just been read."""
        image = (to_tensor(picture, self._size) * 255).round().to(torch.uint8)
        if number not in self._kept and image.numel() <= self._room:
            self._room -= image.numel()
            self._kept[number] = image
        return image


class Maps:
    """Maps (H, W) uint8; those past a budget of memory are kept deflated, mostly to a hundredth.

    Args:
        maps: the maps in their order, taken one by one.
        memory: bytes of maps that are kept as they are.
    """

    def __init__(self, maps: Iterable[Tensor], memory: int = MEMORY) -> None:
        self._kept: list[Tensor | tuple[bytes, tuple[int, ...]]] = []
        for values in maps:
            if values.numel() <= memory:
                memory -= values.numel()
                self._kept.append(values)
            else:
                self._kept.append((zlib.compress(values.numpy().tobytes(), 1), tuple(values.shape)))

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, number: int) -> Tensor:
        """A map as it was given."""
        kept = self._kept[number]
        if isinstance(kept, Tensor):
            return kept
        data, shape = kept
        return torch.frombuffer(bytearray(zlib.decompress(data)), dtype=torch.uint8).view(shape)


@dataclass(frozen=True)
class PixelDataset:
    """Pictures as the model's input, each with its map.

    Attributes:
        names: names of the pictures.
        images: (3, H, W) uint8; of one size where pictures are resized, else as large as they are.
        maps: (H, W) uint8 likewise, 0 = background, k = k-th class, `VOID` = unknown.
        targets: (N, K), 1 where the labels name the class.
        sides: sides in pixels of the squares that are cut out of larger pictures; each batch draws one.
    """

    names: Sequence[str]
    images: Tensors
    maps: Tensors
    targets: Tensor
    sides: tuple[int, ...]

    @classmethod
    def of(
        cls,
        samples: Sequence[Sample],
        map_of: Callable[[Sample, FloatArray], ByteArray],
        classes: Sequence[str],
        spec: Input,
        memory: int = MEMORY,
    ) -> "PixelDataset":
        """Read pictures and their maps.

        Args:
            samples: the pictures.
            map_of: map (H, W) of a sample and its picture (H, W, 3) in [0, 1]; called once for each.
            classes: names in the order of the maps' values.
            spec: how a picture becomes the model's input.
            memory: bytes of images, and of maps, that are kept as they are.

        Raises:
            ImageError: a picture cannot be read.
        """
        images = Images(samples, spec, memory)

        def mapped(number: int, sample: Sample) -> Tensor:
            picture = read_image(sample.path, spec.intensity)
            images.of(number, picture)
            values = torch.from_numpy(np.ascontiguousarray(map_of(sample, picture)))
            return _nearest(values, None if spec.windows else spec.size)

        maps = Maps((mapped(*pair) for pair in enumerate(samples)), memory)
        targets = torch.tensor([[float(name in sample.labels) for name in classes] for sample in samples])
        return cls(
            names=[sample.name for sample in samples],
            images=images,
            maps=maps,
            targets=targets.view(len(samples), len(classes)),
            sides=(spec.size,) if spec.windows else (spec.size, spec.size // 2),
        )

    def __len__(self) -> int:
        return len(self.names)

    def batch(self, indices: Sequence[int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Images (N, 3, S, S) in [0, 1] and maps (N, S, S) of these pictures, cut out and augmented."""
        side = self.sides[_draw(len(self.sides), generator)]
        cut = [self._cut(index, side, generator) for index in indices]
        images = torch.stack([image for image, _ in cut]).float() / 255
        return augment_mapped(images, torch.stack([values for _, values in cut]), generator)

    def _cut(self, index: int, side: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A square of a picture; every second one around a pixel that shows a class, if there is any.

        So rare classes are seen often, and at half the side a small defect fills four times as much.
        """
        image, values = self.images[index], self.maps[index]
        missing = [max(side - length, 0) for length in values.shape]
        if any(missing):
            image, values = (_continued(part, missing) for part in (image, values))
        height, width = values.shape
        if (height, width) == (side, side):
            return image, values
        centre = [_draw(height, generator), _draw(width, generator)]
        if _draw(2, generator):
            shown = torch.nonzero((values > 0) & (values != VOID))
            if len(shown):
                spread = [_draw(side, generator) - side // 2 for _ in range(2)]
                place = shown[_draw(len(shown), generator)]
                centre = [int(at) + by for at, by in zip(place, spread, strict=True)]
        top, left = (
            min(max(at - side // 2, 0), length - side)
            for at, length in zip(centre, (height, width), strict=True)
        )
        rows, columns = slice(top, top + side), slice(left, left + side)
        return image[:, rows, columns], values[rows, columns]


def _nearest(values: Tensor, size: int | None) -> Tensor:
    if size is None or values.shape == (size, size):
        return values
    resized = functional.interpolate(values[None, None].float(), size=(size, size), mode="nearest-exact")
    return resized[0, 0].to(values.dtype)


def _continued(values: Tensor, missing: Sequence[int]) -> Tensor:
    """Values (..., H, W) with so many rows and columns more, mirrored."""
    whole = np.pad(
        values.numpy(), [(0, 0)] * (values.ndim - 2) + [(0, more) for more in missing], "symmetric"
    )
    return torch.from_numpy(whole)


def _draw(limit: int, generator: torch.Generator) -> int:
    return int(torch.randint(limit, (1,), generator=generator))
