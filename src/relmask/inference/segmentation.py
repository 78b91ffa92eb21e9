"""A segmenter and how pictures become its input: the same interface, and its maps need no explanation."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from relmask.data.resizing import resize_map
from relmask.data.tiles import Blend, Window
from relmask.inference.explained import NOTHING, FloatArray, Reader
from relmask.models.bundle import Input
from relmask.models.unet import UNet, image_logits


class MapReader(Reader):
    """A segmenter and how pictures become its input; a pixel's relevance is its chance to show the class.

    The model takes normalised images (N, 3, H, W) to logits (N, K, H, W).
    """

    def require(self, classes: int) -> None:
        """Nothing: its maps need no explanation."""

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """Logits (N, K) of images (N, 3, S, S) in [0, 1]: how much of a class their strongest places show."""
        parts = [
            image_logits(self.model(self.normalise(part.to(self.device))))
            for part in images.split(self.batch_size)
        ]
        return torch.cat(parts).cpu()

    def attribute(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Chance (N, S, S) that a pixel shows one class each, of images (N, 3, S, S) as the model asks."""
        chances: Tensor = self.model(inputs).sigmoid()
        return chances[torch.arange(len(targets)), targets]

    def maps(
        self,
        picture: FloatArray,
        images: Tensor,
        places: list[Window],
        passing: NDArray[np.bool_],
        large: Mapping[int, float | None] = NOTHING,
    ) -> dict[int, FloatArray]:
        """Chance (H, W) of each class that some of the images pass; one look at an image tells all."""
        classes = np.flatnonzero(passing.any(axis=0))
        if not len(classes):
            return {}
        height, width = picture.shape[:2]
        blend = Blend((len(classes), height, width), taper=0.25)
        for start in range(0, len(images), self.batch_size):
            part = slice(start, start + self.batch_size)
            chances = self._chances(images[part], passing[part])[:, classes]
            if not places:
                return dict(zip(classes.tolist(), resize_map(chances[0], height, width).numpy(), strict=True))
            for values, place in zip(chances.numpy(), places[part], strict=True):
                blend.add(place, values)
        return dict(zip(classes.tolist(), blend.result(), strict=True))

    @torch.inference_mode()
    def _chances(self, images: Tensor, passing: NDArray[np.bool_]) -> Tensor:
        """Chance (N, K, S, S), the mean over the image's mirrors; 0 where `passing` (N, K) is not."""
        chances = torch.zeros(*passing.shape, *images.shape[2:])
        chosen = torch.from_numpy(passing.any(axis=1))
        if chosen.any():
            inputs = self.normalise(images[chosen].to(self.device))
            for dims in self.mirrors:
                chances[chosen] += self.model(inputs.flip(dims)).sigmoid().flip(dims).cpu() / len(
                    self.mirrors
                )
        return chances * torch.from_numpy(passing)[..., None, None]


def reader_of(
    model: nn.Module, spec: Input, composite: str, device: torch.device, batch_size: int = 8
) -> Reader:
    """The reader that fits a model: its maps are used as they are where it has some, else it is explained."""
    kind = MapReader if isinstance(model, UNet) else Reader
    return kind(model, spec, composite, device, batch_size)
