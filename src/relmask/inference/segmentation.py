"""A network that segments: its maps are probabilities and need no explanation."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from relmask.arrays import FloatArray, Mask
from relmask.data.resizing import resize_map
from relmask.data.tiles import Blend, Window
from relmask.errors import UsageError
from relmask.inference.model import MIRRORS, Model, Prediction
from relmask.inference.preparation import Preparation
from relmask.models.bundle import Input
from relmask.models.unet import image_logits


class SegmentationModel(Preparation):
    """A student or U-Net; see `Model`. The map of a class is the probability that a pixel shows the class.

    Args:
        network: normalised images (N, 3, H, W) -> logits (N, K, H, W).
        spec: how pictures become its input.
        device: where it runs.
        batch_size: images, or windows, at once.
    """

    relevance_model = None
    full_scale = cut_scale = 1.0
    unit = "probability"

    def __init__(self, network: nn.Module, spec: Input, device: torch.device, batch_size: int = 8) -> None:
        super().__init__(spec, device)
        self.network = network.to(device).eval()
        self.batch_size = batch_size

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """Logits (N, K) of images (N, 3, S, S) in [0, 1]: the strongest locations of each class."""
        parts = [
            image_logits(self.network(self.normalise(part.to(self.device))))
            for part in images.split(self.batch_size)
        ]
        return torch.cat(parts).cpu()

    def predict(self, images: Tensor) -> Prediction:
        """The logits; of novelty nothing is known."""
        return Prediction(self.logits(images), None)

    def evidence(self, images: Tensor) -> Tensor:
        """The logits."""
        return self.logits(images)

    def relevance(self, images: Tensor, targets: Tensor) -> Tensor:
        """Probability (N, S, S) of one class each, of images (N, 3, S, S) in [0, 1]."""
        passing = np.zeros((len(images), int(targets.max()) + 1), bool)
        passing[np.arange(len(images)), targets.numpy()] = True
        parts = [self._probabilities(*part) for part in self._batches(images, passing)]
        return torch.cat(parts)[torch.arange(len(images)), targets]

    def explain(
        self,
        picture: FloatArray,
        images: Tensor,
        places: list[Window],
        k: int,
        passing: Mask | None = None,
    ) -> FloatArray:
        """Probability (H, W) of class k."""
        every = np.zeros((len(images), k + 1), bool)
        every[:, k] = True if passing is None else passing
        height, width = picture.shape[:2]
        return self.maps(picture, images, places, every).get(k, np.zeros((height, width), np.float32))

    def support(
        self, maps: dict[int, FloatArray], picture: FloatArray, floors: Mapping[int, float]
    ) -> dict[int, FloatArray]:
        """The probabilities themselves."""
        return maps

    def maps(
        self, picture: FloatArray, images: Tensor, places: list[Window], passing: Mask
    ) -> dict[int, FloatArray]:
        """Probability (H, W) of each class that some of the images pass; one look at an image tells all."""
        classes = np.flatnonzero(passing.any(axis=0))
        if not len(classes):
            return {}
        height, width = picture.shape[:2]
        blend = Blend((len(classes), height, width), taper=0.25)
        remaining = iter(places)
        for part, wanted in self._batches(images, passing):
            probabilities = self._probabilities(part, wanted)[:, classes]
            if not places:
                whole = resize_map(probabilities[0], height, width).numpy()
                return dict(zip(classes.tolist(), whole, strict=True))
            for values in probabilities.numpy():
                blend.add(next(remaining), values)
        return dict(zip(classes.tolist(), blend.result(), strict=True))

    def warm_up(self) -> None:
        """Nothing has to be made ready."""

    def with_composite(self, composite: str) -> Model:
        """Refused: no rules are at work."""
        raise UsageError(
            "A student draws its masks itself and is not explained by rules, so there is no composite to "
            "choose: explain the run that it was distilled from."
        )

    def describe(self, images: Tensor, k: int) -> str:
        """Refused: no rules are at work."""
        raise UsageError(
            "A student draws its masks itself and is not explained by rules, so there is no table of them: "
            "explain the run that it was distilled from."
        )

    def _batches(self, images: Tensor, passing: Mask) -> list[tuple[Tensor, Mask]]:
        starts = range(0, len(images), self.batch_size)
        return [(images[at : at + self.batch_size], passing[at : at + self.batch_size]) for at in starts]

    @torch.inference_mode()
    def _probabilities(self, images: Tensor, passing: Mask) -> Tensor:
        """Probabilities (N, K, S, S), the mean over the image's mirrors; 0 where `passing` (N, K) is not."""
        found = torch.zeros(*passing.shape, *images.shape[2:])
        chosen = torch.from_numpy(passing.any(axis=1))
        if chosen.any():
            inputs, classes = self.normalise(images[chosen].to(self.device)), passing.shape[1]
            for dims in MIRRORS:
                mirrored = self.network(inputs.flip(dims)).sigmoid().flip(dims)[:, :classes]
                found[chosen] += mirrored.cpu() / len(MIRRORS)
        return found * torch.from_numpy(passing)[..., None, None]
