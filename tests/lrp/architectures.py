"""The families of networks that people use, a few hundred weights each."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvNorm(nn.Sequential):
    """Convolution, batch norm, activation."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, act: nn.Module | None = None, **options: int
    ) -> None:
        conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False, **options)  # type: ignore[arg-type]
        super().__init__(conv, nn.BatchNorm2d(outputs), act or nn.ReLU(inplace=True))


class Residual(nn.Module):
    """ResNet's basic block, its sum written in place."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(channels, channels, 3)
        self.conv2 = ConvNorm(channels, channels, 3, nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv2(self.conv1(x))
        y += x
        return F.relu(y)


class Dense(nn.Module):
    """DenseNet: norm and activation before the convolution, all earlier maps joined."""

    def __init__(self, channels: int, growth: int, count: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, growth, 3, padding=1, bias=False)
            )
            for inputs in range(channels, channels + count * growth, growth)
        )

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for layer in self.layers:
            maps.append(layer(torch.cat(maps, 1)))
        return torch.cat(maps, 1)


class Squeeze(nn.Module):
    """Squeeze-and-excitation."""

    def __init__(self, channels: int, gate: nn.Module) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, 2, 1), nn.Conv2d(2, channels, 1)
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        scale: Tensor = self.gate(self.up(F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))))
        return scale * x


class Inverted(nn.Module):
    """MobileNet's and EfficientNet's block: wide, depthwise, gated, narrow and signed."""

    def __init__(self, channels: int, act: Callable[[], nn.Module], gate: nn.Module | None) -> None:
        super().__init__()
        wide = 2 * channels
        self.expand = ConvNorm(channels, wide, 1, act())
        self.depthwise = ConvNorm(wide, wide, 3, act(), groups=wide)
        self.squeeze = Squeeze(wide, gate) if gate else nn.Identity()
        self.project = ConvNorm(wide, channels, 1, nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        projected: Tensor = self.project(self.squeeze(self.depthwise(self.expand(x))))
        return x + projected


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, layer norm over channels, two linear layers, a layer scale."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.wide, self.narrow = nn.Linear(channels, 2 * channels), nn.Linear(2 * channels, channels)
        self.scale = nn.Parameter(torch.rand(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.scale * self.narrow(F.gelu(self.wide(y)))
        added: Tensor = x + y.permute(0, 3, 1, 2)
        return added


class Branches(nn.Module):
    """Inception: four branches side by side."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.one = ConvNorm(channels, 3)
        self.three = nn.Sequential(ConvNorm(channels, 2), ConvNorm(2, 3, 3))
        self.pooled = ConvNorm(channels, 2)

    def forward(self, x: Tensor) -> Tensor:
        average = self.pooled(F.avg_pool2d(x, 3, stride=1, padding=1))
        return torch.cat([self.one(x), self.three(x), average, F.max_pool2d(x, 3, stride=1, padding=1)], 1)


class Attention(nn.Module):
    """Attention in the functional style: from its parts, with a causal mask, or in one call."""

    def __init__(self, width: int, heads: int, *, fused: bool) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.heads, self.fused = heads, fused

    def forward(self, x: Tensor) -> Tensor:
        images, places, width = x.shape
        q, k, v = self.qkv(x).reshape(images, places, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v)
        else:
            scores = torch.einsum("bhid,bhjd->bhij", q, k) * (width // self.heads) ** -0.5
            mask = torch.ones(places, places, dtype=torch.bool, device=x.device).triu(1)
            y = scores.masked_fill(mask, float("-inf")).softmax(-1) @ v
        attended: Tensor = self.out(y.transpose(1, 2).flatten(2))
        return attended


class Encoder(nn.Module):
    """A transformer's block, norms first."""

    def __init__(self, width: int, *, fused: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, 2, fused=fused)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        transformed: Tensor = x + self.mlp(self.norm2(x))
        return transformed


class VisionTransformer(nn.Module):
    """Patches, a class token, positions, two blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.token, self.positions = nn.Parameter(torch.randn(1, 1, 8)), nn.Parameter(torch.randn(1, 17, 8))
        self.blocks = nn.Sequential(Encoder(8, fused=False), Encoder(8, fused=True))
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat((x, self.token.expand(x.shape[0], -1, -1)), 1) + self.positions
        logits: Tensor = self.head(self.norm(self.blocks(x))[:, -1])
        return logits


class UNetClassifier(nn.Module):
    """Down, up again by transposed convolution and by interpolation, joined, classified."""

    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2, self.bottom = ConvNorm(3, 4, 3), ConvNorm(4, 6, 3), ConvNorm(6, 6, 3)
        self.up2 = nn.ConvTranspose2d(6, 6, 2, stride=2)
        self.norm2 = nn.BatchNorm2d(6)
        self.join2, self.join1 = ConvNorm(12, 4, 3), ConvNorm(8, 4, 3)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        up = F.relu(self.norm2(self.up2(self.bottom(F.max_pool2d(b, 2)))))
        c = self.join2(torch.cat((up, b), 1))
        c = self.join1(torch.cat((F.interpolate(c, scale_factor=2, mode="bilinear"), a), 1))
        logits: Tensor = self.head(c.mean((2, 3)))
        return logits


class Shared(nn.Module):
    """One module that runs twice, its output changed in place, and functions instead of modules."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.stem = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)
        self.weight = nn.Parameter(torch.randn(4, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(F.pad(x, (0, 1, 0, 1))).relu_()
        x = self.conv(x).clamp_(min=0)
        x = F.relu(self.conv(x), inplace=True)
        return F.avg_pool2d(x, x.shape[-1]).flatten(1) @ self.weight


def head(channels: int, classes: int = 3) -> list[nn.Module]:
    """Average over places, linear."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "vgg": lambda: nn.Sequential(
        ConvNorm(3, 4, 3),
        nn.MaxPool2d(2),
        ConvNorm(4, 6, 3),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(96, 8),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(8, 3),
    ),
    "resnet": lambda: nn.Sequential(
        ConvNorm(3, 6, 3, stride=2), nn.MaxPool2d(3, 2, 1), Residual(6), *head(6)
    ),
    "densenet": lambda: nn.Sequential(
        ConvNorm(3, 4, 3),
        Dense(4, 3, 2),
        nn.BatchNorm2d(10),
        nn.ReLU(),
        nn.Conv2d(10, 5, 1),
        nn.AvgPool2d(2),
        *head(5),
    ),
    "mobilenet v2": lambda: nn.Sequential(ConvNorm(3, 4, 3, stride=2), Inverted(4, nn.ReLU6, None), *head(4)),
    "mobilenet v3": lambda: nn.Sequential(
        ConvNorm(3, 4, 3, nn.Hardswish(), stride=2), Inverted(4, nn.Hardswish, nn.Hardsigmoid()), *head(4)
    ),
    "efficientnet": lambda: nn.Sequential(
        ConvNorm(3, 4, 3, nn.SiLU(), stride=2), Inverted(4, nn.SiLU, nn.Sigmoid()), *head(4)
    ),
    "convnext": lambda: nn.Sequential(nn.Conv2d(3, 6, 4, stride=4), ConvNeXtBlock(6), *head(6)),
    "inception": lambda: nn.Sequential(ConvNorm(3, 4, 3), Branches(4), *head(12)),
    "vision transformer": VisionTransformer,
    "u-net": UNetClassifier,
    "shared": Shared,
    "one logit": lambda: nn.Sequential(ConvNorm(3, 4, 3, nn.GELU()), nn.GroupNorm(2, 4), *head(4, 1)),
    "signal": lambda: nn.Sequential(
        nn.Conv1d(2, 6, 5, stride=2),
        nn.BatchNorm1d(6),
        nn.LeakyReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(6, 4, 3, padding="same"),
        nn.ReLU(),
        nn.AvgPool1d(2),
        nn.AdaptiveAvgPool1d(2),
        nn.Flatten(),
        nn.Linear(8, 3),
    ),
    "volume": lambda: nn.Sequential(
        nn.Conv3d(1, 4, 3),
        nn.BatchNorm3d(4),
        nn.ReLU(),
        nn.MaxPool3d(2),
        nn.Conv3d(4, 4, 2),
        nn.ReLU(),
        nn.AvgPool3d(2, 1),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    ),
    "table": lambda: nn.Sequential(
        nn.BatchNorm1d(7),
        nn.Linear(7, 9),
        nn.BatchNorm1d(9),
        nn.SiLU(),
        nn.LayerNorm(9),
        nn.Linear(9, 5),
        nn.ELU(),
        nn.Linear(5, 3),
    ),
}
SHAPES = {"signal": (3, 2, 40), "volume": (3, 1, 10, 9, 11), "table": (3, 7)}


def example(name: str) -> Tensor:
    """Three inputs in float64."""
    return torch.randn(SHAPES.get(name, (3, 3, 16, 16)), dtype=torch.float64)


def network(name: str, *, biases: bool = True) -> nn.Module:
    """In float64, with batch-norm statistics of its own; without biases nothing absorbs relevance."""
    model = NETWORKS[name]().double()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            part.running_mean = 0.3 * torch.randn_like(part.weight) * biases
            part.running_var = torch.rand_like(part.weight) + 0.5
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.3)
    for path, parameter in model.named_parameters():
        if path.endswith("bias") and not biases:
            nn.init.zeros_(parameter)
    return model.eval().requires_grad_(False)
