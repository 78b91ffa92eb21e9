"""VGG (Simonyan and Zisserman 2015) with torchvision's key names, and a narrow one to train from scratch."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from relmask.models.trunk import Backbone

VGG11 = ((64,), (128,), (256, 256), (512, 512), (512, 512))
VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
NARROW = ((24, 24), (48, 48), (96, 96), (128, 128))


class Vgg(Backbone):
    """3x3 convolutions in stages with a max-pool between them; a block is a stage, before its pooling."""

    def __init__(
        self,
        stages: Sequence[Sequence[int]],
        batch_norm: bool,
        hidden: int | None,
        classes: int = 1000,
        deepest: int | None = None,
    ) -> None:
        """Build all of it, or up to block `deepest` and without the head.

        Args:
            stages: channels of the convolutions of each stage.
            batch_norm: normalise after each convolution.
            hidden: width of the classic head's two hidden layers, over 7x7 locations; None makes the head one
                linear layer over the mean of all locations, and leaves the last stage unpooled.
            classes: number of logits.
            deepest: last block.
        """
        super().__init__(
            tuple(stage[-1] for stage in stages), tuple(2**index for index in range(len(stages)))
        )
        layers: list[nn.Module] = []
        inputs = 3
        for index, stage in enumerate(stages if deepest is None else stages[: deepest + 1]):
            if index:
                layers.append(nn.MaxPool2d(2, 2))
            for channels in stage:
                layers.append(nn.Conv2d(inputs, channels, 3, padding=1))
                layers.extend([nn.BatchNorm2d(channels)] if batch_norm else [])
                layers.append(nn.ReLU())
                inputs = channels
        if deepest is None and hidden:
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        if deepest is None:
            self.avgpool = nn.AdaptiveAvgPool2d(7 if hidden else 1)
            self.classifier = _head(inputs, hidden, classes)
        self.initialise()

    def maps(self, x: Tensor) -> Iterator[Tensor]:
        """Output of each stage that is built."""
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                yield x
            x = layer(x)
        if not isinstance(self.features[-1], nn.MaxPool2d):
            yield x

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of normalised images (N, 3, H, W)."""
        logits: Tensor = self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))
        return logits


def _head(inputs: int, hidden: int | None, classes: int) -> nn.Sequential:
    if hidden is None:
        return nn.Sequential(nn.Linear(inputs, classes))
    return nn.Sequential(
        nn.Linear(inputs * 49, hidden),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(hidden, classes),
    )
