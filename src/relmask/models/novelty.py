"""Novelty of locations: how unlike those of clean images each is."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

LIMIT = 6.0
"""Standard deviations at which novelty is cut off: beyond doubt, pooling need not look there even more."""


class Novelty(nn.Module):
    """Mahalanobis distance of a location's features to those of all locations of reference images.

    One Gaussian serves all locations, as a 1x1 convolution and a norm, so that it exports. The distance is
    standardised by its mean and standard deviation at that distance from the border, since the border of an
    image is unlike its inside in every image.

    References are the clean images (`groups` = 1), or, where there are none, for each class the images
    without it (`groups` = number of classes).

    Args:
        channels: channels C of the features.
        grid: locations (h, w) of the reference images; those of others are interpolated.
        groups: number of Gaussians.

    Attributes:
        mean: (groups, C) of the references' features.
        whitening: (groups, C, C), features times it have unit covariance.
        typical: (groups, h, w) mean distance of the references.
        deviation: (groups, h, w) standard deviation of their distance.
    """

    mean: Tensor
    whitening: Tensor
    typical: Tensor
    deviation: Tensor

    def __init__(self, channels: int, grid: tuple[int, int], groups: int = 1) -> None:
        super().__init__()
        self.groups = groups
        self.register_buffer("mean", torch.zeros(groups, channels))
        self.register_buffer("whitening", torch.eye(channels).repeat(groups, 1, 1))
        self.register_buffer("typical", torch.zeros(groups, *grid))
        self.register_buffer("deviation", torch.ones(groups, *grid))

    def forward(self, features: Tensor) -> Tensor:
        """Standardised distance (N, groups, h, w) of features (N, C, h, w)."""
        distance = self.distance(features)
        grid = distance.shape[2:]
        typical = functional.interpolate(self.typical[None], size=grid, mode="bilinear", align_corners=False)
        deviation = functional.interpolate(
            self.deviation[None], size=grid, mode="bilinear", align_corners=False
        )
        return ((distance - typical) / deviation).clamp(max=LIMIT)

    def distance(self, features: Tensor) -> Tensor:
        """Mahalanobis distance (N, groups, h, w), divided by the square root of the number of channels."""
        per_group = [
            functional.conv2d(
                features, self.whitening[group, :, :, None, None], -(self.whitening[group] @ self.mean[group])
            )
            for group in range(self.groups)
        ]
        return torch.stack([white.square().mean(1).sqrt() for white in per_group], dim=1)

    @torch.no_grad()
    def fit(self, group: int, batches: Callable[[], Iterable[Tensor]], shrinkage: float = 1e-2) -> None:
        """Fit the Gaussian of one group to the features of its reference images.

        Args:
            group: which Gaussian.
            batches: features (N, C, h, w); called twice.
            shrinkage: share of the mean variance added to every variance.
        """
        count = 0
        total = torch.zeros_like(self.mean[0], dtype=torch.float64)
        products = torch.zeros_like(self.whitening[0], dtype=torch.float64)
        for features in batches():
            locations = features.permute(0, 2, 3, 1).flatten(0, 2)
            count += len(locations)
            total += locations.sum(0).double()
            products += (locations.T @ locations).double()
        mean = total / count
        eye = torch.eye(len(mean), dtype=torch.float64, device=mean.device)
        covariance = products / count - torch.outer(mean, mean)
        covariance += shrinkage * covariance.diagonal().mean().clamp(min=1e-12) * eye
        self.mean[group] = mean.float()
        whitening = torch.linalg.solve_triangular(torch.linalg.cholesky(covariance), eye, upper=False)
        self.whitening[group] = whitening.float()
        distances = torch.cat([self.distance(features)[:, group].cpu() for features in batches()])
        typical = symmetric(distances.mean(0))
        deviation = symmetric((distances - typical).square().mean(0)).sqrt().clamp(min=1e-6)
        self.typical[group] = typical.to(self.typical)
        self.deviation[group] = deviation.to(self.deviation)


def symmetric(values: Tensor) -> Tensor:
    """Values (h, w) averaged with their mirrors and neighbours: what depends on how far the border is."""
    values = (values + values.flip(0)) / 2
    values = (values + values.flip(1)) / 2
    return functional.avg_pool2d(values[None, None], 3, stride=1, padding=1, count_include_pad=False)[0, 0]
