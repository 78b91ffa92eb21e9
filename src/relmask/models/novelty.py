"""How unlike clean images a place is."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

LIMIT = 6.0


class Novelty(nn.Module):
    """Mahalanobis distance of a place's features to those of all places of reference images.

    One Gaussian for all places, as a 1x1 convolution and a norm, so that it exports. The distance is
    standardised by what is usual at that distance from the border, since the border of an image is unlike
    its inside in every image: 0 is usual there, 1 is one standard deviation more.

    It is cut off at `LIMIT`: what is novel beyond doubt is not looked at more for being stranger still.

    References are the clean images (`groups` = 1), or, where there are none, for each class the images
    without it (`groups` = number of classes).
    """

    mean: Tensor
    whitening: Tensor
    centre: Tensor
    spread: Tensor

    def __init__(self, channels: int, grid: tuple[int, int], groups: int = 1) -> None:
        super().__init__()
        self.groups = groups
        self.register_buffer("mean", torch.zeros(groups, channels))
        self.register_buffer("whitening", torch.eye(channels).repeat(groups, 1, 1))
        self.register_buffer("centre", torch.zeros(groups, *grid))
        self.register_buffer("spread", torch.ones(groups, *grid))

    def forward(self, features: Tensor) -> Tensor:
        """Standardised distance (N, groups, h, w) of features (N, C, h, w)."""
        distance = self.distance(features)
        grid = distance.shape[2:]
        centre = functional.interpolate(self.centre[None], size=grid, mode="bilinear", align_corners=False)
        spread = functional.interpolate(self.spread[None], size=grid, mode="bilinear", align_corners=False)
        return ((distance - centre) / spread).clamp(max=LIMIT)

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
            places = features.permute(0, 2, 3, 1).flatten(0, 2)
            count += len(places)
            total += places.sum(0).double()
            products += (places.T @ places).double()
        mean = total / count
        eye = torch.eye(len(mean), dtype=torch.float64, device=mean.device)
        covariance = products / count - torch.outer(mean, mean)
        covariance += shrinkage * covariance.diagonal().mean().clamp(min=1e-12) * eye
        self.mean[group] = mean.float()
        whitening = torch.linalg.solve_triangular(torch.linalg.cholesky(covariance), eye, upper=False)
        self.whitening[group] = whitening.float()
        distances = torch.cat([self.distance(features)[:, group].cpu() for features in batches()])
        centre = symmetric(distances.mean(0))
        spread = symmetric((distances - centre).square().mean(0)).sqrt().clamp(min=1e-6)
        self.centre[group] = centre.to(self.centre)
        self.spread[group] = spread.to(self.spread)


def symmetric(values: Tensor) -> Tensor:
    """Values (h, w) averaged with their mirrors and neighbours: what depends on how far the border is."""
    values = (values + values.flip(0)) / 2
    values = (values + values.flip(1)) / 2
    return functional.avg_pool2d(values[None, None], 3, stride=1, padding=1, count_include_pad=False)[0, 0]
