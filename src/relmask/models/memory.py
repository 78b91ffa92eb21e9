"""Whether an image as a whole is like one that was trained on."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Memory(nn.Module):
    """Distance of an image's features to those of the nearest training image, in units of a limit.

    An image is known by the highest value of each channel over all its places: what is odd in one place
    stands out. `limit` is the distance that few clean images exceed; above 1 an image is unlike all seen.

    Args:
        images: how many are remembered.
        channels: of the features.
    """

    seen: Tensor
    limit: Tensor

    def __init__(self, images: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(images, channels))
        self.register_buffer("limit", torch.ones(()))

    def forward(self, features: Tensor) -> Tensor:
        """Distance (N,) over the limit, of features (N, C, h, w)."""
        return torch.cdist(known_by(features), self.seen).amin(1) / self.limit


def known_by(features: Tensor) -> Tensor:
    """What is kept (N, C) of features (N, C, h, w)."""
    return features.amax((2, 3))


def nearest_of_others(
    kept: Tensor, groups: Sequence[str], seen: Tensor, seen_groups: Sequence[str]
) -> Tensor:
    """Distance (N,) of images to the nearest one of another group, infinite where there is none.

    Args:
        kept: (N, C) what is kept of them.
        groups: (N,) of them.
        seen: (M, C) of the remembered ones.
        seen_groups: (M,) of these.
    """
    distance = torch.cdist(kept, seen)
    same = torch.tensor([[one == other for other in seen_groups] for one in groups])
    return distance.masked_fill(same, torch.inf).amin(1)
