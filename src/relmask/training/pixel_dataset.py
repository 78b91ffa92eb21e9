"""Pictures together with maps of what their pixels show."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from relmask.data.augmentation import augment_mapped
from relmask.data.index import Sample
from relmask.data.resizing import to_tensor
from relmask.models.bundle import Input

VOID = 255
"""Value in a map of a pixel of which it is not known what it shows."""

Picture = NDArray[np.float32]
Classes = NDArray[np.uint8]


@dataclass(frozen=True)
class Mapped:
    """Pictures as the model's input, each with its map.

    Attributes:
        names: of the pictures.
        images: (3, H, W) uint8; of one size where pictures are resized, else as large as they are.
        maps: (H, W) uint8 likewise, 0 = background, k = k-th class, `VOID` = unknown.
        targets: (N, K), 1 where the labels name the class.
        sides: of the squares that are cut out of larger pictures, in pixels; each batch draws one of them.
    """

    names: Sequence[str]
    images: Sequence[Tensor]
    maps: Sequence[Tensor]
    targets: Tensor
    sides: tuple[int, ...]

    @classmethod
    def of(
        cls,
        samples: Iterable[Sample],
        map_of: Callable[[Sample], tuple[Picture, Classes]],
        classes: Sequence[str],
        spec: Input,
    ) -> "Mapped":
        """Read pictures and their maps.

        Args:
            samples: the pictures.
            map_of: the picture (H, W, 3) in [0, 1] of a sample and its map (H, W).
            classes: in the order of the maps' values.
            spec: how a picture becomes the model's input.
        """
        names, images, maps, targets = [], [], [], []
        sides = (spec.size,) if spec.windows else (spec.size, spec.size // 2)
        for sample in samples:
            picture, values = map_of(sample)
            size = None if spec.windows else spec.size
            images.append((to_tensor(picture, size) * 255).round().to(torch.uint8))
            maps.append(_nearest(torch.from_numpy(np.ascontiguousarray(values)), size))
            names.append(sample.name)
            targets.append([float(name in sample.labels) for name in classes])
        return cls(names, images, maps, torch.tensor(targets).view(len(images), len(classes)), sides)

    def __len__(self) -> int:
        return len(self.images)

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
