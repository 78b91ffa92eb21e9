"""What novelty adds to the logits of a trained classifier."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from relmask.models.image_novelty import NearestImages

LOCATION_WEIGHT = 0.3
"""Logits that a standard deviation of pooled location novelty adds to every class."""
IMAGE_WEIGHT = 1.0
"""Logits that a unit of clean distance adds to every class."""


class NoveltyScore(nn.Module):
    """Logits raised by novelty: what is unlike clean images is likelier a defect, of whatever class.

    Two terms are added to all classes: the novelty n of the locations, pooled with softmax_p(n), and the
    distance of the image as a whole to the nearest clean one. They join a classifier that was trained without
    them: a head that is trained with them leans on them and learns less.

    Args:
        nearest: knows the distance; None where no training image is known.
    """

    def __init__(self, nearest: NearestImages | None = None) -> None:
        super().__init__()
        self.nearest = nearest

    def forward(self, logits: Tensor, features: Tensor, novelty: Tensor | None) -> Tensor:
        """Logits (N, K), raised.

        Args:
            logits: (N, K) of the trained classifier.
            features: standardised, (N, C, h, w).
            novelty: of the same locations, (N, 1 or K, h, w); None where it is not known.
        """
        if novelty is not None:
            locations = novelty.flatten(2)
            logits = logits + LOCATION_WEIGHT * (locations.softmax(2) * locations).sum(2)
        if self.nearest is not None:
            logits = logits + IMAGE_WEIGHT * self.nearest(features)[:, None]
        return logits

    def as_if_unseen(self, kept: Tensor, groups: Sequence[str], clean: Tensor) -> Tensor:
        """What to add (N, 1) to the logits of training images, see `NearestImages.as_if_unseen`."""
        if self.nearest is None:
            return torch.zeros(len(kept), 1)
        return IMAGE_WEIGHT * self.nearest.as_if_unseen(kept, groups, clean)[:, None]
