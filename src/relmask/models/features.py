"""Features of trunks' taps on one grid, standardised."""

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from relmask.models.trunk import Triple, Trunk


class View(nn.Module):
    """One trunk's view of an image: what it sees at several strides, averaged over 3x3 locations.

    The image is continued by its mirror over `margin` pixels, which are cut off the features again: a trunk
    that pads with zeros would see every border as novel.

    Args:
        trunk: what looks.
        margin: pixels of mirror.
        stride: pixels between two locations of a tap, where the tap's own is finer; None: the shallowest
            tap's own.
        plain: leave the taps as they come.
        size: side of what the trunk sees, and side of the image that it is resized from; None: as it is.
        normalised: mean and standard deviation that the image was normalised by; None: the trunk's own.
    """

    def __init__(
        self,
        trunk: Trunk,
        margin: int = 0,
        stride: int | None = None,
        plain: bool = False,
        size: tuple[int, int] | None = None,
        normalised: tuple[Triple, Triple] | None = None,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.margin = margin
        self.plain = plain
        self.stride = stride or trunk.strides[0]
        self.size = None if size is None or size[0] == size[1] else size
        self.normalised = None if normalised == (trunk.mean, trunk.std) else normalised

    def averages(self, images: Tensor) -> list[Tensor]:
        """Each tap averaged 3x3: a list of (N, C_i, H_i, W_i) for images (N, 3, H, W)."""
        images = self._seen(images)
        height, width = images.shape[2:]
        if self.margin:
            images = functional.pad(images, (self.margin,) * 4, mode="reflect")
        averages = []
        for tap, stride in zip(self.trunk(images), self.trunk.strides, strict=True):
            if not self.plain:
                tap = functional.avg_pool2d(tap, 3, stride=1, padding=1, count_include_pad=False)
            if self.margin:
                start = self.margin // stride
                tap = tap[:, :, start : start - (-height // stride), start : start - (-width // stride)]
            if stride < self.stride:
                tap = functional.avg_pool2d(tap, self.stride // stride, ceil_mode=True)
            averages.append(tap)
        return averages

    def resized(self, side: int) -> int:
        """Side in pixels at which the trunk sees an image of so many."""
        return side if self.size is None else round(side * self.size[0] / self.size[1])

    def _seen(self, images: Tensor) -> Tensor:
        """Images at the trunk's size and normalised as it asks."""
        if self.size is not None:
            height, width = (self.resized(side) for side in images.shape[2:])
            images = functional.interpolate(
                images, size=(height, width), mode="bilinear", align_corners=False, antialias=True
            )
        if self.normalised is not None:
            mean, std, own_mean, own_std = (
                images.new_tensor(triple).view(3, 1, 1)
                for triple in (*self.normalised, self.trunk.mean, self.trunk.std)
            )
            images = images * (std / own_std) + (mean - own_mean) / own_std
        return images


class Features(View):
    """What one trunk or several see in an image, on the grid of the first one's shallowest tap, standardised.

    Each tap is averaged over 3x3 locations, resized bilinearly and standardised. The averages are small, so
    training keeps `averages(images)` of a frozen trunk and calls `join` on them.

    `plain` leaves out averaging and standardising: a trunk that is trained with its head finds its own scale,
    and an average would spread what one location shows over its neighbours.

    Args:
        trunk: of the first view, whose other parameters are those of `View`.
        beside: views of other trunks, whose features stand beside the first one's.
    """

    def __init__(
        self,
        trunk: Trunk,
        margin: int = 0,
        stride: int | None = None,
        plain: bool = False,
        size: tuple[int, int] | None = None,
        beside: Sequence[View] = (),
    ) -> None:
        super().__init__(trunk, margin, stride, plain, size)
        self.beside = nn.ModuleList(beside)
        self.channels = sum(channels for view in (self, *beside) for channels in view.trunk.channels)
        self.standardise = nn.BatchNorm2d(self.channels, affine=False, eps=1e-6)

    def grid(self, size: int) -> tuple[int, int]:
        """Locations (h, w) of an image of `size` x `size` pixels."""
        side = -(-self.resized(size) // self.stride)
        return side, side

    def averages(self, images: Tensor) -> list[Tensor]:
        """Each tap of each view averaged 3x3: a list of (N, C_i, H_i, W_i) for images (N, 3, H, W)."""
        found = super().averages(images)
        for view in self.beside:
            found += cast(View, view).averages(images)
        return found

    def join(self, averages: list[Tensor]) -> Tensor:
        """Averages of `averages` on one grid, standardised unless plain: (N, C, h, w)."""
        stacked = self._stack(averages)
        return stacked if self.plain else self.standardise(stacked)

    def standardised(self, averages: list[Tensor]) -> list[Tensor]:
        """Averages standardised on their own grids, with the statistics fitted last."""
        widths = [tap.shape[1] for tap in averages]
        means = self.standardise.running_mean.split(widths)  # type: ignore[union-attr]
        variances = self.standardise.running_var.split(widths)  # type: ignore[union-attr]
        return [
            functional.batch_norm(tap, mean, variance, eps=self.standardise.eps)
            for tap, mean, variance in zip(averages, means, variances, strict=True)
        ]

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, C, h, w) of images (N, 3, H, W), normalised as the trunk asks."""
        return self.join(self.averages(images))

    @torch.no_grad()
    def fit(self, batches: Iterable[list[Tensor]]) -> None:
        """Set mean and variance of every channel from the averages of training images."""
        count = 0
        total = squares = torch.zeros(self.channels, dtype=torch.float64)
        for averages in batches:
            locations = self._stack(averages).double()
            count += locations.numel() // locations.shape[1]
            total = total.to(locations) + locations.sum((0, 2, 3))
            squares = squares.to(locations) + locations.square().sum((0, 2, 3))
        mean = total / count
        self.standardise.running_mean = mean.float()
        self.standardise.running_var = (squares / count - mean.square()).clamp(min=1e-8).float()

    @staticmethod
    def _stack(averages: list[Tensor]) -> Tensor:
        grid = averages[0].shape[2:]
        return torch.cat(
            [averages[0]]
            + [
                functional.interpolate(tap, size=grid, mode="bilinear", align_corners=False)
                for tap in averages[1:]
            ],
            dim=1,
        )
