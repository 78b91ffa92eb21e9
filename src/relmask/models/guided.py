"""The classifier that relmask trains: features, a score map a class, guided pooling."""

import torch
from torch import Tensor, nn

from relmask.models.features import Features
from relmask.models.novelty import Novelty
from relmask.models.pooling import GuidedPooling


class GuidedClassifier(nn.Module):
    """Images to logits, one a class, through a score for every place.

    The label says what, novelty says where: `head` scores each place for each class, `pooling` reads the
    scores where the place is unlike clean images. With `novelty` None the pooling is not guided.
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
        return self.read(self.features(images))[0]

    def read(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, K) and score maps (N, K, h, w) of standardised features (N, C, h, w)."""
        scores = self.head(features)
        return self.pooling(scores, self.novelty(features) if self.novelty else None), scores

    @torch.no_grad()
    def places(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Score maps (N, K, h, w) and novelty (N, 1 or K, h, w), or None where nothing guides."""
        features = self.features(images)
        return self.head(features), self.novelty(features) if self.novelty else None
