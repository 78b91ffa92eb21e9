"""Models whose maps are relevance: what any explanation of a classifier has in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from relmask.arrays import FloatArray, Mask
from relmask.data.resizing import resize_map
from relmask.data.tiles import Blend, Window
from relmask.errors import UsageError
from relmask.inference.model import Model, Prediction
from relmask.inference.preparation import Preparation
from relmask.masks.support import support
from relmask.models.bundle import Input


class RelevanceModel(Preparation, ABC):
    """A classifier and an explanation of it; see `Model`.

    Subclasses say what the logits are and where the relevance lies. Windows and support are here.

    Args:
        network: what the scores come from.
        spec: how pictures become its input.
        device: where it runs.
        batch_size: images, or windows, at once.
    """

    def __init__(self, network: nn.Module, spec: Input, device: torch.device, batch_size: int = 8) -> None:
        super().__init__(spec, device)
        self._network = network
        self.batch_size = batch_size

    @property
    def network(self) -> nn.Module:
        """What the scores come from."""
        return self._network

    @property
    def unit(self) -> str:
        """Of support, where it is what masks are cut from, else of relevance."""
        return "logits a pixel" if self.spec.masks is None else "Otsu's threshold"

    @property
    def cut_scale(self) -> float:
        """Three times Otsu's threshold; see `full_scale` where relevance itself is cut."""
        return self.full_scale if self.spec.masks is None else 3.0

    @property
    def full_scale(self) -> float:
        """A hundred times the density of one logit spread evenly over the input."""
        return 100 / self.spec.size**2

    @property
    def relevance_model(self) -> "RelevanceModel":
        """The model itself: its maps are relevance."""
        return self

    @abstractmethod
    def logits(self, images: Tensor) -> Tensor:
        """Logits (N, K) of images (N, 3, S, S) in [0, 1]."""

    @abstractmethod
    def relevance(self, images: Tensor, targets: Tensor) -> Tensor:
        """Relevance (N, S, S) of one class each, in logits a pixel, of images (N, 3, S, S) in [0, 1]."""

    def predict(self, images: Tensor) -> Prediction:
        """The logits; of novelty nothing is known."""
        return Prediction(self.logits(images), None)

    def evidence(self, images: Tensor) -> Tensor:
        """What relevance starts from: the logits."""
        return self.logits(images)

    def novelty_map(self, images: Tensor, targets: Tensor) -> FloatArray | None:
        """Novelty (N, S, S) of the locations of whole pictures; None where nothing is known of it."""
        return None

    def as_if_unseen(self, images: Iterable[Tensor], groups: Sequence[str], clean: Tensor) -> Tensor:
        """What to add (N, 1) to the logits of images that were trained on, so that none is known by itself.

        Args:
            images: (n, 3, S, S) in [0, 1], in batches.
            groups: (N,) which object each image shows.
            clean: (N,) which of them are clean.
        """
        return torch.zeros(len(groups), 1)

    def warm_up(self) -> None:
        """Nothing has to be made ready."""

    def with_composite(self, composite: str) -> Model:
        """Refused: there are no rules."""
        raise UsageError("This model is not explained by rules, so there is no composite to choose.")

    def describe(self, images: Tensor, k: int) -> str:
        """Refused: there are no rules."""
        raise UsageError("This model is not explained by rules layer by layer, so there is no table of them.")

    def maps(
        self, picture: FloatArray, images: Tensor, places: list[Window], passing: Mask
    ) -> dict[int, FloatArray]:
        """Relevance (H, W), smoothed, of each class that some of the images pass."""
        return {
            k: self.explain(picture, images, places, k, passing[:, k], smoothed=True)
            for k in np.flatnonzero(passing.any(axis=0)).tolist()
        }

    def support(
        self, maps: dict[int, FloatArray], picture: FloatArray, floors: Mapping[int, float]
    ) -> dict[int, FloatArray]:
        """See `relmask.masks.support`; relevance itself where the run has no settings of masks."""
        settings = self.spec.masks
        return maps if settings is None else {k: support(maps[k], picture, settings, floors[k]) for k in maps}

    def explain(
        self,
        picture: FloatArray,
        images: Tensor,
        places: list[Window],
        k: int,
        passing: Mask | None = None,
        *,
        smoothed: bool = False,
    ) -> FloatArray:
        """Relevance (H, W) of class k in a picture that was cut into `images` at `places`.

        Args:
            picture: (H, W, 3).
            images: what `cut` gave.
            places: likewise.
            k: the class.
            passing: which images to explain; the others have no relevance. None: all.
            smoothed: smooth it as the run's masks want it, at the scale of the model's input.
        """
        height, width = picture.shape[:2]
        maps = torch.zeros(len(images), *images.shape[2:])
        chosen = torch.arange(len(images)) if passing is None else torch.from_numpy(np.flatnonzero(passing))
        if len(chosen):
            maps[chosen] = self.relevance(images[chosen], torch.full((len(chosen),), k))
        sigma = self.spec.masks.smoothing if smoothed and self.spec.masks else 0.0
        if not places:
            return resize_map(torch.from_numpy(smooth(maps.numpy(), sigma)), height, width)[0].numpy()
        blend = Blend((height, width), taper=0.25)
        for values, place in zip(maps, places, strict=True):
            blend.add(place, values.numpy())
        return smooth(blend.result(), sigma)


def smooth(maps: FloatArray, sigma: float) -> FloatArray:
    """Maps (..., H, W) smoothed with a Gaussian of `sigma` pixels; their sum is kept but for the border."""
    smoothed: FloatArray = gaussian_filter(maps, sigma, mode="nearest", axes=(-2, -1)) if sigma else maps
    return smoothed
