"""The classifier that relmask trains: features, a score map a class, guided pooling."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from relmask.models.features import Features
from relmask.models.image_novelty import STRANGENESS, Memory
from relmask.models.novelty import Novelty
from relmask.models.pooling import GuidedPooling


class GuidedClassifier(nn.Module):
    """Images to logits, one a class, through a score for every place.

    The label says what, novelty says where: `head` scores each place for each class, `pooling` reads the
    scores where the place is unlike clean images. With `novelty` None the pooling is not guided.

    In evaluation mode all logits rise with how strange the image as a whole is to the clean ones in `memory`,
    None where nothing is remembered. While training they do not: the head would lean on it.
    """

    def __init__(self, features: Features, classes: int, novelty: Novelty | None, hidden: int = 64) -> None:
        super().__init__()
        self.features = features
        self.novelty = novelty
        self.memory: Memory | None = None
        layers: list[nn.Module] = [nn.Dropout2d(0.1)]
        if hidden:
            layers += [nn.Conv2d(features.channels, hidden, 1), nn.ReLU(), nn.Dropout2d(0.2)]
        self.head = nn.Sequential(*layers, nn.Conv2d(hidden or features.channels, classes, 1))
        self.pooling = GuidedPooling(classes, guidance=0.0 if novelty is None else 1.0)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, K) of images (N, 3, H, W), normalised as the trunk asks."""
        features = self.features(images)
        return self.read(features, self.novelty(features) if self.novelty else None)[0]

    def read(self, features: Tensor, novelty: Tensor | None) -> tuple[Tensor, Tensor]:
        """Logits (N, K) and score maps (N, K, h, w).

        Args:
            features: standardised, (N, C, h, w).
            novelty: of the same places, (N, 1 or K, h, w); None where nothing guides.
        """
        scores = self.head(features)
        return self._logits(scores, novelty, lambda: features), scores

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
        return self._logits(scores, novelty, lambda: self.features.join(averages)), scores

    def _logits(self, scores: Tensor, novelty: Tensor | None, features: Callable[[], Tensor]) -> Tensor:
        logits: Tensor = self.pooling(scores, novelty)
        if self.memory is None or self.training:
            return logits
        return logits + STRANGENESS * self.memory.strangeness(features())[:, None]

    def start_again(self) -> None:
        """Give head and pooling fresh weights, to train them on other pictures."""
        for module in [*self.head, self.pooling]:
            if isinstance(module, nn.Conv2d | GuidedPooling):
                module.reset_parameters()


class LocationEvidence(nn.Module):
    """What a guided classifier holds for each class, place by place: images -> sums of positive scores.

    Relevance starts here rather than at the logits. The pooled logit rests on the few places that it looks at
    first, so its relevance covers a part of a large defect; the sum of all positive scores covers all of it
    (F1 within 2 px of the demo's masks, best thresholds: 0.64 from the logit, 0.71 to 0.75 from the sum).

    Args:
        model: the classifier.
        power: positive scores are raised to it. Below 1, bold places and faint ones differ less, as one
            absolute threshold for both wants it.
    """

    def __init__(self, model: GuidedClassifier, power: float = 1.0) -> None:
        super().__init__()
        self.power = power
        self.features = model.features
        self.head = model.head

    def forward(self, images: Tensor) -> Tensor:
        """Evidence (N, K) in images (N, 3, H, W), normalised as the trunk asks."""
        scores: Tensor = functional.relu(self.head(self.features(images)))
        return (scores if self.power == 1 else scores.pow(self.power)).sum((2, 3))
