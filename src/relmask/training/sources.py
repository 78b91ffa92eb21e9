"""Where the training loop gets predictions from: cached features of a frozen trunk, or whole pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor, nn

from relmask.data.augmentation import augment
from relmask.data.image_cache import ImageCache
from relmask.models.guided import GuidedClassifier


@dataclass(frozen=True)
class Prediction:
    """Logits (N, K) and, where the network has them, a score for every location (N, K, h, w)."""

    logits: Tensor
    locations: Tensor | None


class Source(Protocol):
    """Pictures by their indices, and a network that predicts for them."""

    def predict(self, indices: Sequence[int], generator: torch.Generator | None) -> Prediction:
        """What training lowers the loss of; the pictures are augmented if a generator is given."""

    def logits(self, indices: Sequence[int]) -> Tensor:
        """Logits (N, K) of the pictures as a run with this network gives them."""


class FeatureSource(Source, Protocol):
    """A source whose network is relmask's own.

    Attributes:
        frozen: are features the same before and after training?
    """

    frozen: bool

    @property
    def network(self) -> GuidedClassifier:
        """The network that predicts."""

    def read_by(self, network: GuidedClassifier) -> Self:
        """The same pictures, read by another network on the same trunk."""

    def features(self, indices: Sequence[int]) -> Tensor:
        """Standardised features (N, C, h, w) of the pictures."""


class WholePictures:
    """Runs a user's own network on pictures.

    Args:
        network: normalised images (N, 3, H, W) -> logits (N, K).
        pictures: what to run it on.
        normalise: what the network asks of its input.
        device: where to compute.
    """

    def __init__(
        self,
        network: nn.Module,
        pictures: ImageCache,
        normalise: Callable[[Tensor], Tensor],
        device: torch.device,
    ) -> None:
        self.network = network
        self.pictures = pictures
        self.normalise = normalise
        self.device = device

    def predict(self, indices: Sequence[int], generator: torch.Generator | None) -> Prediction:
        """Logits of the pictures; the network says nothing of locations."""
        return Prediction(self.network(self.inputs(indices, generator)), None)

    def logits(self, indices: Sequence[int]) -> Tensor:
        """Logits (N, K) of the pictures as they are."""
        logits: Tensor = self.network(self.inputs(indices, None))
        return logits

    def inputs(self, indices: Sequence[int], generator: torch.Generator | None) -> Tensor:
        """Normalised images (N, 3, S, S), augmented if a generator is given."""
        images = self.pictures.batch(indices)
        if generator is not None:
            images = augment(images, generator)
        return self.normalise(images.to(self.device))


class GuidedPictures(WholePictures):
    """Runs relmask's own network on pictures: for trunks that are trained, too."""

    network: GuidedClassifier
    frozen = False

    def read_by(self, network: GuidedClassifier) -> "GuidedPictures":
        """The same pictures, read by another network."""
        return GuidedPictures(network, self.pictures, self.normalise, self.device)

    def predict(self, indices: Sequence[int], generator: torch.Generator | None) -> Prediction:
        """Logits that novelty does not raise, and a score for every location."""
        scores = self.network.scores
        features = scores.features(self.inputs(indices, generator))
        return Prediction(*scores.read(features, scores.novelty_of(features)))

    def features(self, indices: Sequence[int]) -> Tensor:
        """Standardised features (N, C, h, w) of the pictures."""
        features: Tensor = self.network.features(self.inputs(indices, None))
        return features


class CachedFeatures:
    """Runs the head alone on features of a frozen trunk, computed once for every picture.

    Augmenting mirrors the features; the trunk is nearly blind to the difference from features of the mirror.

    Args:
        network: with a frozen trunk.
        pictures: what to compute features of.
        normalise: what the trunk asks of its input.
        device: where to compute.
        memory: bytes of features that may be kept; past it they are computed each time.
    """

    frozen = True

    def __init__(
        self,
        network: GuidedClassifier,
        pictures: ImageCache,
        normalise: Callable[[Tensor], Tensor],
        device: torch.device,
        memory: int = 6_000_000_000,
    ) -> None:
        self.network = network
        self.pictures = pictures
        self.normalise = normalise
        self.device = device
        self._memory = memory
        self._averages: dict[int, list[Tensor]] = {}
        self._novelties: dict[int, Tensor] = {}

    def read_by(self, network: GuidedClassifier) -> "CachedFeatures":
        """The same features, read by another network on the same trunk."""
        other = CachedFeatures(network, self.pictures, self.normalise, self.device, self._memory)
        other._averages = self._averages
        if network.novelty is self.network.novelty:
            other._novelties = self._novelties
        return other

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
            taps = [tap.half().cpu() for tap in self.network.features.averages(images)]
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
        return self.network.features.join(self.averages(indices))

    @torch.no_grad()
    def novelty(self, indices: Sequence[int]) -> Tensor | None:
        """Novelty (N, groups, h, w) of the pictures, kept until it is fitted anew."""
        if self.network.novelty is None:
            return None
        with torch.autocast(self.device.type, enabled=False):
            for index in indices:
                # One by one: what a picture gets must not depend, in its last bit, on what it was drawn with.
                if index not in self._novelties:
                    self._novelties[index] = self.network.novelty(self.features([index]))[0].cpu()
        return torch.stack([self._novelties[index] for index in indices]).to(self.device)

    def forget_novelty(self) -> None:
        """The network's novelty was fitted anew: compute it again when next asked for."""
        self._novelties.clear()

    def predict(self, indices: Sequence[int], generator: torch.Generator | None) -> Prediction:
        """Logits that novelty does not raise, and a score for every location."""
        averages = self.averages(indices)
        novelty = self.novelty(indices)
        if generator is not None:
            drawn = torch.randint(2, (2,), generator=generator).tolist()
            dims = [dim for dim, mirrored in zip((2, 3), drawn, strict=True) if mirrored]
            averages = [tap.flip(dims) for tap in averages]
            novelty = None if novelty is None else novelty.flip(dims)
        return Prediction(*self.network.scores.read_averages(averages, novelty))

    def logits(self, indices: Sequence[int]) -> Tensor:
        """Logits (N, K) of the pictures, raised by novelty."""
        plain, novelty = self.predict(indices, None).logits, self.novelty(indices)
        logits: Tensor = self.network.novelty_score(plain, self.features(indices), novelty)
        return logits


class Part:
    """Some of the pictures of a source, numbered anew."""

    def __init__(self, source: Source, indices: Sequence[int]) -> None:
        self.source = source
        self.indices = list(indices)

    def predict(self, indices: Sequence[int], generator: torch.Generator | None) -> Prediction:
        """Predictions of the source for its pictures."""
        return self.source.predict([self.indices[index] for index in indices], generator)

    def logits(self, indices: Sequence[int]) -> Tensor:
        """Logits (N, K) of the source for its pictures."""
        return self.source.logits([self.indices[index] for index in indices])
