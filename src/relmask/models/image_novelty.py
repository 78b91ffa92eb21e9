"""Whether an image as a whole is like one that was trained on."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from relmask.sequences import evenly

STRANGENESS = 1.0
"""Logits that a spread of an image's strangeness adds to every class."""
REMEMBERED = 2048
"""Training images that are remembered at most: 2 MB of the default backbone's features."""
LIMIT = 3.0
"""Strangeness is cut off there, on both sides."""


class Memory(nn.Module):
    """Distance of an image's features to those of the nearest training image.

    An image is known by the highest value of each channel over all its places: what is odd in one place
    stands out. `limit` is the distance that few clean images exceed; above 1 an image is unlike all seen.

    `strangeness` is the distance to the nearest clean one, as compared with what is usual among clean images
    of different groups.

    Args:
        images: how many are remembered.
        channels: of the features.
        clean: how many of them are clean; 0 where nothing tells what is usual.

    Attributes:
        seen: (images, channels) what is kept of each.
        limit: distance that counts as 1.
        clean: (clean,) which of `seen` are clean.
        usual: median distance of a clean image to the nearest one of another group.
        spread: how far above it the 95 % quantile lies.
    """

    seen: Tensor
    limit: Tensor
    clean: Tensor
    usual: Tensor
    spread: Tensor

    def __init__(self, images: int, channels: int, *, clean: int = 0) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(images, channels))
        self.register_buffer("limit", torch.ones(()))
        self.register_buffer("clean", torch.zeros(clean, dtype=torch.long))
        self.register_buffer("usual", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))

    def forward(self, features: Tensor) -> Tensor:
        """Distance (N,) over the limit, of features (N, C, h, w)."""
        return torch.cdist(known_by(features), self.seen).amin(1) / self.limit

    def strangeness(self, features: Tensor) -> Tensor:
        """How much farther (N,) from clean images than usual features (N, C, h, w) are, in spreads.

        It is 0 where nothing tells what is usual.
        """
        if not len(self.clean):
            return self.seen.new_zeros(len(features))
        # Not cdist, which relmask.lrp has no rule for; the root's gradient at 0 is kept finite.
        apart = known_by(features).to(self.seen.dtype)[:, None] - self.seen[self.clean]
        return self.standardised(apart.square().sum(2).clamp(min=1e-12).sqrt().amin(1))

    def as_if_unseen(self, kept: Tensor, groups: Sequence[str], clean: Tensor) -> Tensor:
        """What to add (N, 1) to the logits of remembered images, so that none is known by its own group.

        A clean one finds itself in the memory, and would pass for far cleaner than any image to come. Where
        no clean image is of another group, the distance counts as the median.

        Args:
            kept: (N, C) what is kept of the images.
            groups: (N,) of them.
            clean: (N,) which of them are clean.
        """
        if not len(self.clean):
            return torch.zeros(len(kept), 1)
        itself = torch.cdist(kept.to(self.seen.device), self.seen[self.clean]).amin(1)
        known = torch.nonzero(clean).flatten()
        others = known[evenly(len(known), REMEMBERED)]
        distance = nearest_of_others(kept, groups, kept[others], [groups[index] for index in others])
        distance = distance.to(self.seen.device)
        distance = torch.where(distance.isfinite(), distance, self.usual)
        return STRANGENESS * (self.standardised(distance) - self.standardised(itself)).cpu()[:, None]

    def standardised(self, distance: Tensor) -> Tensor:
        """Strangeness (N,) of images at a distance (N,) from the nearest clean one."""
        return ((distance - self.usual) / self.spread).clamp(-LIMIT, LIMIT)


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
    if not len(seen):
        return torch.full((len(kept),), torch.inf)
    same = torch.tensor([[one == other for other in seen_groups] for one in groups], dtype=torch.bool)
    return torch.cdist(kept, seen).masked_fill(same.view(len(kept), len(seen)), torch.inf).amin(1)
