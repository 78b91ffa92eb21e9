"""Backbones, and the part of one that features are read from."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

Triple = tuple[float, float, float]


class Backbone(nn.Module):
    """A classic classifier in blocks, whole, or up to a block and without its head.

    Whole, `forward` takes normalised images (N, 3, H, W) to logits (N, classes).

    Attributes:
        channels: of every block's output, also of blocks that are not built.
        strides: pixels of the image between two locations of every block's output.
        mean: of each channel of the images it was made for, in [0, 1]; images are normalised outside.
        std: likewise.
        size: side in pixels of the images whose features are read, where a user names none.
        multiple: whole pixels that a side of the image must be a multiple of.
        margin: pixels of mirror around the image that keep what is padded with zeros out of the features.
    """

    mean: Triple = (0.485, 0.456, 0.406)  # ImageNet's, as torchvision's weights expect
    std: Triple = (0.229, 0.224, 0.225)
    size: int = 256
    multiple: int = 1
    margin: int = 32

    def __init__(self, channels: tuple[int, ...], strides: tuple[int, ...]) -> None:
        super().__init__()
        self.channels = channels
        self.strides = strides

    def maps(self, x: Tensor) -> Iterator[Tensor]:
        """Output (N, C, h, w) of each block that is built, shallow to deep."""
        raise NotImplementedError

    @torch.no_grad()
    def initialise(self) -> None:
        """He's initialisation of all convolutions, as the classic networks are trained from scratch."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


class Trunk(nn.Module):
    """A backbone up to its deepest tap; nothing deeper is built or computed.

    Attributes:
        taps: indices of the tapped blocks, from 0.
        channels: of each tap.
        strides: pixels of the image between two locations of each tap.
        mean: of each channel of the images the backbone was made for, in [0, 1].
        std: likewise.
    """

    def __init__(self, backbone: Backbone, taps: tuple[int, ...]) -> None:
        super().__init__()
        blocks = len(backbone.channels)
        if not taps or list(taps) != sorted(set(taps)) or not 0 <= taps[0] <= taps[-1] < blocks:
            raise ValueError(f"taps must be rising indices of blocks from 0 to {blocks - 1}, got {taps}")
        self.backbone = backbone
        self.taps = taps
        self.channels = tuple(backbone.channels[tap] for tap in taps)
        self.strides = tuple(backbone.strides[tap] for tap in taps)
        self.mean = backbone.mean
        self.std = backbone.std

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """One (N, channels[i], H / strides[i], W / strides[i]) a tap, shallow to deep.

        `x` are images (N, 3, H, W), normalised: (image in [0, 1] - mean) / std. A side that the stride does
        not divide is rounded up or down as the backbone does.
        """
        return tuple(output for index, output in enumerate(self.backbone.maps(x)) if index in self.taps)
