"""Where the training loop gets predictions from: cached features of a frozen trunk, or whole pictures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from relmask.data.augmentation import augment
from relmask.models.guided import GuidedClassifier
from relmask.training.pictures import Pictures


@dataclass(frozen=True)
class Prediction:
    """Logits (N, K) and, where the model has them, a score for every place (N, K, h, w)."""

    logits: Tensor
    places: Tensor | None


class Source(Protocol):
    """Predicts for the pictures with the given indices; augments them if a generator is given."""

    def predict(self, indices: Sequence[int], generator: torch.Generator | None) -> Prediction: ...


class WholePictures:
    """Runs the whole model on pictures: for models trained or fine-tuned from the pixels."""

    def __init__(
        self, model: nn.Module, pictures: Pictures, normalise: nn.Module, device: torch.device
    ) -> None:
        self.model = model
        self.pictures = pictures
        self.normalise = normalise
        self.device = device

    def predict(self, indices: Sequence[int], generator: torch.Generator | None) -> Prediction:
        images = self.pictures.batch(indices)
        if generator is not None:
            images = augment(images, generator)
        images = self.normalise(images.to(self.device))
        if isinstance(self.model, GuidedClassifier):
            return Prediction(*self.model.read(self.model.features(images)))
        return Prediction(self.model(images), None)


class CachedFeatures:
    """Runs the head alone on features of a frozen trunk, computed once for every picture and its mirrors.

    Args:
        model: with a frozen trunk.
        pictures: what to compute features of.
        normalise: what the trunk asks of its input.
        device: where to compute.
        views: 1 for the pictures as they are, 2 with their left-right mirror, 4 with all mirrors.
        memory: bytes of features that may be kept; past it they are computed each time.
    """

    def __init__(
        self,
        model: GuidedClassifier,
        pictures: Pictures,
        normalise: nn.Module,
        device: torch.device,
        views: int = 4,
        memory: int = 6_000_000_000,
    ) -> None:
        self.model = model
        self.pictures = pictures
        self.normalise = normalise
        self.device = device
        self.views = views
        self._memory = memory
        self._kept: dict[tuple[int, int], list[Tensor]] = {}

    def fill(self, batch_size: int = 16) -> Iterator[int]:
        """Compute the features of every picture that fits into memory; yields the pictures done so far."""
        for start in range(0, len(self.pictures), batch_size):
            indices = range(start, min(start + batch_size, len(self.pictures)))
            for view in range(self.views):
                self._averages([(index, view) for index in indices])
            yield indices.stop

    def features(self, indices: Sequence[int]) -> Tensor:
        """Standardised features (N, C, h, w) of the pictures as they are."""
        return self._join([(index, 0) for index in indices])

    def averages(self, indices: Sequence[int]) -> list[Tensor]:
        """What `Features.averages` gives for the pictures as they are."""
        return self._averages([(index, 0) for index in indices])

    def predict(self, indices: Sequence[int], generator: torch.Generator | None) -> Prediction:
        views = [0] * len(indices)
        if generator is not None:
            views = torch.randint(self.views, (len(indices),), generator=generator).tolist()
        return Prediction(*self.model.read(self._join(list(zip(indices, views, strict=True)))))

    def _join(self, keys: Sequence[tuple[int, int]]) -> Tensor:
        with torch.no_grad():
            return self.model.features.join(self._averages(keys))

    @torch.no_grad()
    def _averages(self, keys: Sequence[tuple[int, int]]) -> list[Tensor]:
        missing = [key for key in keys if key not in self._kept]
        fresh: dict[tuple[int, int], list[Tensor]] = {}
        if missing:
            images = self.pictures.batch([index for index, _ in missing])
            images = torch.stack(
                [_mirror(image, view) for image, (_, view) in zip(images, missing, strict=True)]
            )
            taps = [
                tap.half().cpu()
                for tap in self.model.features.averages(self.normalise(images.to(self.device)))
            ]
            for number, key in enumerate(missing):
                fresh[key] = [tap[number].clone() for tap in taps]
                size = sum(tap.numel() * 2 for tap in fresh[key])
                if (len(self._kept) + 1) * size <= self._memory:
                    self._kept[key] = fresh[key]
        chosen = [self._kept.get(key) or fresh[key] for key in keys]
        return [torch.stack(taps).to(self.device).float() for taps in zip(*chosen, strict=True)]


def _mirror(image: Tensor, view: int) -> Tensor:
    dims = [dim for bit, dim in ((1, 2), (2, 1)) if view & bit]
    return image.flip(dims) if dims else image
