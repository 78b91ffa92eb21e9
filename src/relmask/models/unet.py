"""A U-Net (Ronneberger et al. 2015) over any backbone of the zoo: images to a map of logits a class."""

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from relmask.models.trunk import Backbone, Trunk
from relmask.models.zoo import find, trunk

NARROWEST, WIDEST = 32, 128
"""Channels of the decoder's levels: those of the encoder at the same stride, within these limits."""
PEAK = 1e-3
"""Share of an image's pixels, the highest, whose mean is its logit."""


class UNet(nn.Module):
    """Encoder, and a decoder that joins what the encoder saw at every stride: images -> maps of logits.

    Every class has its own sigmoid, so that a pixel may show several.

    Args:
        encoder: taps from shallow to deep, see `levels`.
        classes: number of maps.
    """

    def __init__(self, encoder: Trunk, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        widths = [min(max(channels, NARROWEST), WIDEST) for channels in encoder.channels]
        self.bottom = _convolved(encoder.channels[-1], widths[-1], kernel=1)
        inputs = [deep + skip for deep, skip in zip(widths[1:], encoder.channels[:-1], strict=True)]
        self.steps = nn.ModuleList(map(_convolved, inputs, widths[:-1]))
        self.head = nn.Sequential(_convolved(widths[0], widths[0]), nn.Conv2d(widths[0], classes, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, K, H, W) of images (N, 3, H, W), normalised as the backbone asks."""
        *skips, deepest = self.encoder(images)
        x = self.bottom(deepest)
        for skip, step in zip(reversed(skips), reversed(self.steps), strict=True):
            x = step(torch.cat([_enlarged(x, skip), skip], dim=1))
        return _enlarged(self.head(x), images)


def levels(backbone: Backbone) -> tuple[int, ...]:
    """Blocks that an encoder taps: the deepest of every stride.

    >>> levels(find("efficientnet-lite0").build())
    (0, 2, 4, 10, 15)
    """
    return tuple({stride: block for block, stride in enumerate(backbone.strides)}.values())


def encoder(names: Iterable[str]) -> str | None:
    """The first of these backbones that sees at several strides, which a U-Net joins; a transformer has one.

    >>> encoder(["dinov2-small", "resnet18"]), encoder(["dinov2-small"])
    ('resnet18', None)
    """
    with torch.device("meta"):
        return next((name for name in names if len(levels(find(name).build())) > 1), None)


def image_logits(maps: Tensor, share: float = PEAK) -> Tensor:
    """Logit (N, K) of each class's presence: the mean of the highest `share` of its map (N, K, H, W)."""
    pixels = maps.flatten(2)
    return pixels.topk(max(1, round(share * pixels.shape[2])), dim=2).values.mean(2)


def unet(name: str, classes: int, weights: Path | None = None, pretrained: bool = True) -> UNet:
    """A U-Net over a backbone; see `zoo.trunk` for where its weights come from."""
    with torch.device("meta"):  # takes no memory, draws no random numbers
        taps = levels(find(name).build())
    return UNet(trunk(name, weights, pretrained, taps=taps), classes)


def _convolved(inputs: int, outputs: int, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def _enlarged(x: Tensor, like: Tensor) -> Tensor:
    if x.shape[2:] == like.shape[2:]:
        return x
    return functional.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)
