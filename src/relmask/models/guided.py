"""The classifier that relmask trains: features, a score map a class, guided pooling; novelty on top."""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from relmask.models.features import Features
from relmask.models.image_novelty import NearestImages
from relmask.models.novelty import Novelty
from relmask.models.novelty_score import NoveltyScore
from relmask.models.pooling import GuidedPooling


class GuidedScores(nn.Module):
    """Images to logits, one a class, through a score for every location: what training trains.

    The label says what, novelty says where: `head` scores each location for each class, `pooling` reads the
    scores where the location is unlike clean images. With `novelty` None the pooling is not guided.
    """

    def __init__(self, features: Features, classes: int, novelty: Novelty | None, hidden: int = 64) -> None:
        super().__init__()
        self.features = features
        self.novelty = novelty
        layers: list[nn.Module] = [nn.Dropout2d(0.1)]
        if hidden:
            layers += [nn.Conv2d(features.channels, hidden, 1), nn.ReLU(), nn.Dropout2d(0.2)]
        self.head = nn.Sequential(*layers, nn.Conv2d(hidden or features.channels, classes, 1))
        self.pooling = GuidedPooling(classes, guidance=0.0 if novelty is None else 1.0)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, K) of images (N, 3, H, W), normalised as the trunk asks."""
        features = self.features(images)
        return self.read(features, self.novelty_of(features))[0]

    def novelty_of(self, features: Tensor) -> Tensor | None:
        """Novelty (N, 1 or K, h, w) of standardised features (N, C, h, w); None where nothing guides."""
        return None if self.novelty is None else self.novelty(features)

    def read(self, features: Tensor, novelty: Tensor | None) -> tuple[Tensor, Tensor]:
        """Logits (N, K) and score maps (N, K, h, w).

        Args:
            features: standardised, (N, C, h, w).
            novelty: of the same locations, (N, 1 or K, h, w); None where nothing guides.
        """
        scores = self.head(features)
        return self.pooling(scores, novelty), scores

    def read_averages(self, averages: list[Tensor], novelty: Tensor | None) -> tuple[Tensor, Tensor]:
        """As `read(features.join(averages), novelty)`, several times faster.

        Standardising and the head's first layer commute with resizing, so they run on each tap's own grid.
        """
        dropout, first, *rest = self.head
        assert isinstance(first, nn.Conv2d)
        taps = self.features.standardised(averages)
        widths = [tap.shape[1] for tap in taps]
        grid = taps[0].shape[2:]
        hidden = first.bias[:, None, None] if first.bias is not None else torch.zeros(())
        for tap, weight in zip(taps, first.weight.split(widths, dim=1), strict=True):
            mixed = functional.conv2d(dropout(tap), weight)
            if mixed.shape[2:] != grid:
                mixed = functional.interpolate(mixed, size=grid, mode="bilinear", align_corners=False)
            hidden = hidden + mixed
        scores = nn.Sequential(*rest)(hidden)
        return self.pooling(scores, novelty), scores

    def start_again(self) -> None:
        """Give head and pooling fresh weights, to train them on other pictures."""
        for module in [*self.head, self.pooling]:
            if isinstance(module, nn.Conv2d | GuidedPooling):
                module.reset_parameters()

    def untrained(self) -> "GuidedScores":
        """The same features, shared, below a novelty, a head and a pooling of their own, head untrained."""
        other = copy.deepcopy(self, {id(self.features): self.features})
        other.start_again()
        return other


class GuidedClassifier(nn.Module):
    """What a run holds: trained scores whose logits novelty raises.

    Args:
        scores: what training trains, or has trained.
        nearest: distance to the images that it was trained on; None before, or where none are known.
    """

    def __init__(self, scores: GuidedScores, nearest: NearestImages | None = None) -> None:
        super().__init__()
        self.scores = scores
        self.novelty_score = NoveltyScore(nearest)

    @property
    def features(self) -> Features:
        """Features (N, C, h, w) of images (N, 3, H, W), normalised as the trunk asks."""
        return self.scores.features

    @property
    def novelty(self) -> Novelty | None:
        """Novelty of locations, by their features; None where nothing guides."""
        return self.scores.novelty

    @property
    def nearest(self) -> NearestImages | None:
        """Distance of an image to those of the training, by its features; None where it is not known."""
        return self.novelty_score.nearest

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, K) of images (N, 3, H, W), normalised as the trunk asks."""
        return self.logits(self.features(images))

    def logits(self, features: Tensor) -> Tensor:
        """Logits (N, K) of standardised features (N, C, h, w)."""
        novelty = self.scores.novelty_of(features)
        logits: Tensor = self.novelty_score(self.scores.read(features, novelty)[0], features, novelty)
        return logits

    def start_again(self) -> None:
        """Forget what training has taught; see `GuidedScores.start_again`."""
        self.scores.start_again()


class LocationEvidence(nn.Module):
    """What guided scores hold for each class, location by location: images -> sums of positive scores.

    Relevance starts here rather than at the logits. The pooled logit rests on the few locations that it looks
    at first, so its relevance covers a part of a large defect; the sum of all positive scores covers all of
    it (F1 within 2 px of the demo's masks, best thresholds: 0.64 from the logit, 0.71 to 0.75 from the sum).

    Args:
        scores: the trained scores.
        power: positive scores are raised to it. Below 1, bold locations and faint ones differ less, as one
            absolute threshold for both wants it.
    """

    def __init__(self, scores: GuidedScores, power: float = 1.0) -> None:
        super().__init__()
        self.power = power
        self.features = scores.features
        self.head = scores.head

    def forward(self, images: Tensor) -> Tensor:
        """Evidence (N, K) in images (N, 3, H, W), normalised as the trunk asks."""
        scores: Tensor = functional.relu(self.head(self.features(images)))
        return (scores if self.power == 1 else scores.pow(self.power)).sum((2, 3))
