"""Distance of an image as a whole to the images that a classifier was trained on."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from relmask.sequences import evenly

REMEMBERED = 2048
"""Number of training images that are kept at most: 2 MB of the default backbone's features."""
LIMIT = 3.0
"""Clean distance beyond which an image counts as no farther, on both sides: one odd image, clean or foreign,
then moves neither the gates nor its own logits by more."""


class NearestImages(nn.Module):
    """Distance of an image's features to those of the nearest training image (Sun et al. 2022).

    An image is described by the highest value of each channel over its locations, so that something odd in
    one location stands out. Two distances come of it: the image novelty, to the nearest training image of
    whatever label, and the clean distance, to the nearest clean one.

    Args:
        images: number of training images that are kept.
        channels: channels of the features.
        clean: how many of the images are clean; 0 where the clean distance has no scale.

    Attributes:
        seen: (images, channels) descriptors of the training images.
        limit: distance that few clean images exceed; an image novelty of 1.
        clean: (clean,) which of `seen` are clean.
        clean_median: median distance of a clean image to the nearest clean one of another group.
        clean_spread: 95 % quantile of these distances less the median.
    """

    seen: Tensor
    limit: Tensor
    clean: Tensor
    clean_median: Tensor
    clean_spread: Tensor

    def __init__(self, images: int, channels: int, *, clean: int = 0) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(images, channels))
        self.register_buffer("limit", torch.ones(()))
        self.register_buffer("clean", torch.zeros(clean, dtype=torch.long))
        self.register_buffer("clean_median", torch.zeros(()))
        self.register_buffer("clean_spread", torch.ones(()))

    def novelty(self, features: Tensor) -> Tensor:
        """Image novelty (N,) of features (N, C, h, w): above 1 an image is unlike all training images."""
        return torch.cdist(descriptors(features), self.seen).amin(1) / self.limit

    def forward(self, features: Tensor) -> Tensor:
        """Clean distance (N,) of features (N, C, h, w), from -`LIMIT` to `LIMIT`.

        0 is the median among clean images of different groups, 1 their 95 % quantile; 0 where no such scale
        is known.
        """
        if not len(self.clean):
            return self.seen.new_zeros(len(features))
        # Not cdist, which relmask.lrp has no rule for; the root's gradient at 0 is kept finite.
        apart = descriptors(features).to(self.seen.dtype)[:, None] - self.seen[self.clean]
        return self.standardised(apart.square().sum(2).clamp(min=1e-12).sqrt().amin(1))

    def standardised(self, distance: Tensor) -> Tensor:
        """Clean distance (N,) of images at a distance (N,) from the nearest clean one."""
        return ((distance - self.clean_median) / self.clean_spread).clamp(-LIMIT, LIMIT)

    def as_if_unseen(self, kept: Tensor, groups: Sequence[str], clean: Tensor) -> Tensor:
        """What the clean distance (N,) of training images lacks, since each finds its own group among them.

        A clean training image finds itself, and would pass for far cleaner than any image to come. Where all
        clean images are of its group, the distance counts as the median. It is 0 for images none of which is
        clean: they do not find themselves.

        Args:
            kept: (N, C) descriptors of the images.
            groups: (N,) which object each image shows.
            clean: (N,) which of the images are clean.
        """
        if not len(self.clean) or not clean.any():
            return torch.zeros(len(kept))
        itself = torch.cdist(kept.to(self.seen.device), self.seen[self.clean]).amin(1)
        known = torch.nonzero(clean).flatten()
        others = known[evenly(len(known), REMEMBERED)]
        distance = nearest_of_others(kept, groups, kept[others], [groups[index] for index in others])
        distance = distance.to(self.seen.device)
        distance = torch.where(distance.isfinite(), distance, self.clean_median)
        return (self.standardised(distance) - self.standardised(itself)).cpu()


def descriptors(features: Tensor) -> Tensor:
    """Highest value (N, C) of each channel over all locations of features (N, C, h, w)."""
    return features.amax((2, 3))


def nearest_of_others(
    kept: Tensor, groups: Sequence[str], seen: Tensor, seen_groups: Sequence[str]
) -> Tensor:
    """Distance (N,) of images to the nearest one of another group, infinite where there is none.

    Args:
        kept: (N, C) descriptors of the images.
        groups: (N,) which object each image shows.
        seen: (M, C) descriptors of the images that they are compared with.
        seen_groups: (M,) which object each of those shows.
    """
    if not len(seen):
        return torch.full((len(kept),), torch.inf)
    same = torch.tensor([[one == other for other in seen_groups] for one in groups], dtype=torch.bool)
    return torch.cdist(kept, seen).masked_fill(same.view(len(kept), len(seen)), torch.inf).amin(1)
