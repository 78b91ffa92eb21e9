"""ResNet (He et al. 2016), stride on the 3x3 convolution, with torchvision's key names."""

from collections.abc import Iterator, Sequence

from torch import Tensor, nn
from torch.nn import functional

from relmask.models.trunk import Backbone


class BasicBlock(nn.Module):
    """Two 3x3 convolutions plus the input."""

    expansion = 1

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _shortcut(inputs, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, channels, H / stride, W / stride)."""
        hidden = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(hidden)) + self.downsample(x))


class Bottleneck(nn.Module):
    """1x1 down, 3x3, 1x1 up, plus the input."""

    expansion = 4

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        outputs = channels * self.expansion
        self.conv1 = nn.Conv2d(inputs, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, 4 channels, H / stride, W / stride)."""
        hidden = functional.relu(self.bn1(self.conv1(x)))
        hidden = functional.relu(self.bn2(self.conv2(hidden)))
        return functional.relu(self.bn3(self.conv3(hidden)) + self.downsample(x))


class ResNet(Backbone):
    """Stem and four layers of residual blocks; a block of the backbone is a whole layer."""

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: Sequence[int],
        classes: int = 1000,
        deepest: int | None = None,
    ) -> None:
        """Build all of it, or up to layer `deepest` (from 0) and without the head.

        Args:
            block: kind of residual block.
            depths: number of them in each of the four layers.
            classes: number of logits.
            deepest: last layer.
        """
        widths = (64, 128, 256, 512)
        super().__init__(tuple(width * block.expansion for width in widths), (4, 8, 16, 32))
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layers = [f"layer{index + 1}" for index in range(len(widths))][
            : None if deepest is None else deepest + 1
        ]
        for index, name in enumerate(self.layers):
            inputs = 64 if index == 0 else self.channels[index - 1]
            first = block(inputs, widths[index], stride=1 if index == 0 else 2)
            rest = [block(self.channels[index], widths[index], stride=1) for _ in range(depths[index] - 1)]
            self.add_module(name, nn.Sequential(first, *rest))
        if deepest is None:
            self.fc = nn.Linear(self.channels[-1], classes)
        self.initialise()

    def maps(self, x: Tensor) -> Iterator[Tensor]:
        """Output of each layer that is built."""
        x = self.maxpool(functional.relu(self.bn1(self.conv1(x))))
        for name in self.layers:
            x = self.get_submodule(name)(x)
            yield x

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of normalised images (N, 3, H, W)."""
        *_, x = self.maps(x)
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
