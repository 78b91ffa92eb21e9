"""Where the training loop gets predictions from: cached features of a frozen trunk, or whole pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from relmask.data.augmentation import augment
from relmask.data.image_cache import ImageCache
from relmask.models.guided import GuidedClassifier


@dataclass(frozen=True)
class Prediction:
    """Logits (N, K) and, where the model has them, a score for every place (N, K, h, w)."""

    logits: Tensor
    places: Tensor | None


class Source(Protocol):
    """Pictures by their indices, and a model that predicts for them."""

    def predict(self, indices: Sequence[int], generator: torch.Generator | None) -> Prediction:
        """Predictions for the pictures with these indices; they are augmented if a generator is given."""


class WholePictures:
    """Runs the whole model on pictures: for models trained or fine-tuned from the pixels."""

    def __init__(
        self,
        model: nn.Module,
        pictures: ImageCache,
        normalise: Callable[[Tensor], Tensor],
        device: torch.device,
    ) -> None:
        self.model = model
        self.pictures = pictures
        self.normalise = normalise
        self.device = device

    def features(self, indices: Sequence[int]) -> Tensor:
        """Standardised features (N, C, h, w) of the pictures, of relmask's own classifiers."""
        assert isinstance(self.model, GuidedClassifier)
        features: Tensor = self.model.features(self.normalise(self.pictures.batch(indices).to(self.device)))
        return features

    def predict(self, indices: Sequence[int], generator: torch.Generator | None) -> Prediction:
        """Run the model on the pictures."""
        images = self.pictures.batch(indices)
        if generator is not None:
            images = augment(images, generator)
        images = self.normalise(images.to(self.device))
        if isinstance(self.model, GuidedClassifier):
            features = self.model.features(images)
            novelty = self.model.novelty(features) if self.model.novelty else None
            return Prediction(*self.model.read(features, novelty))
        return Prediction(self.model(images), None)


class CachedFeatures:
    """Runs the head alone on features of a frozen trunk, computed once for every picture.

    Augmenting mirrors the features; the trunk is nearly blind to the difference from features of the mirror.

    Args:
        model: with a frozen trunk.
        pictures: what to compute features of.
        normalise: what the trunk asks of its input.
        device: where to compute.
        memory: bytes of features that may be kept; past it they are computed each time.
    """

    def __init__(
        self,
        model: GuidedClassifier,
        pictures: ImageCache,
        normalise: Callable[[Tensor], Tensor],
        device: torch.device,
        memory: int = 6_000_000_000,
    ) -> None:
        self.model = model
        self.pictures = pictures
        self.normalise = normalise
        self.device = device
        self._memory = memory
        self._averages: dict[int, list[Tensor]] = {}
        self._novelties: dict[int, Tensor] = {}

    @torch.no_grad()
    def averages(self, indices: Sequence[int]) -> list[Tensor]:
        """What `Features.averages` gives for the pictures, in full precision whatever the head trains in."""
        with torch.autocast(self.device.type, enabled=False):
            return self._averages_of(indices)

    def _averages_of(self, indices: Sequence[int]) -> list[Tensor]:
        missing = [index for index in indices if index not in self._averages]
        fresh: dict[int, list[Tensor]] = {}
        if missing:
            images = self.normalise(self.pictures.batch(missing).to(self.device))
            taps = [tap.half().cpu() for tap in self.model.features.averages(images)]
            for number, index in enumerate(missing):
                fresh[index] = [tap[number].clone() for tap in taps]
                size = sum(tap.numel() * tap.element_size() for tap in fresh[index])
                if (len(self._averages) + 1) * size <= self._memory:
                    self._averages[index] = fresh[index]
        chosen = [self._averages.get(index) or fresh[index] for index in indices]
        return [torch.stack(taps).to(self.device).float() for taps in zip(*chosen, strict=True)]

    @torch.no_grad()
    def features(self, indices: Sequence[int]) -> Tensor:
        """Standardised features (N, C, h, w) of the pictures."""
        return self.model.features.join(self.averages(indices))

    @torch.no_grad()
    def novelty(self, indices: Sequence[int]) -> Tensor | None:
        """Novelty (N, groups, h, w) of the pictures, kept until it is fitted anew."""
        if self.model.novelty is None:
            return None
        with torch.autocast(self.device.type, enabled=False):
            for index in indices:
                # One by one: what a picture gets must not depend, in its last bit, on what it was drawn with.
                if index not in self._novelties:
                    self._novelties[index] = self.model.novelty(self.features([index]))[0].cpu()
        return torch.stack([self._novelties[index] for index in indices]).to(self.device)

    def forget_novelty(self) -> None:
        """The model's novelty was fitted anew: compute it again when next asked for."""
        self._novelties.clear()

    def predict(self, indices: Sequence[int], generator: torch.Generator | None) -> Prediction:
        """Run the head on features of the pictures."""
        averages = self.averages(indices)
        novelty = self.novelty(indices)
        if generator is not None:
            drawn = torch.randint(2, (2,), generator=generator).tolist()
            dims = [dim for dim, mirrored in zip((2, 3), drawn, strict=True) if mirrored]
            averages = [tap.flip(dims) for tap in averages]
            novelty = None if novelty is None else novelty.flip(dims)
        return Prediction(*self.model.read_averages(averages, novelty))


class Part:
    """Some of the pictures of a source, numbered anew."""

    def __init__(self, source: Source, indices: Sequence[int]) -> None:
        self.source = source
        self.indices = list(indices)

    def predict(self, indices: Sequence[int], generator: torch.Generator | None) -> Prediction:
        """Predictions of the source for its pictures."""
        return self.source.predict([self.indices[index] for index in indices], generator)
