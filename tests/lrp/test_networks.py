"""Whole networks against LRP written as a modified gradient, and against captum."""

import warnings
from collections.abc import Callable

import pytest
import torch
from captum.attr import LRP
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule
from torch import Tensor, nn
from torch.nn import functional as F

from relmask.lrp import AlphaBeta, Composite, Epsilon, Gamma, Magnitude, ZPlus, compile, kind
from relmask.lrp.composites import epsilon_gamma_box

LOW, HIGH = -2.5, 2.5
BY_SIZE = Composite(
    "by size",
    ((kind("convolution"), ZPlus()), (kind("linear"), Epsilon()), (kind("add"), Magnitude())),
)


class Block(nn.Module):
    """Inverted bottleneck with a signed output, and a residual."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Conv2d(6, 12, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(12)
        self.depthwise = nn.Conv2d(12, 12, 3, padding=1, groups=12, bias=False)
        self.norm2 = nn.BatchNorm2d(12)
        self.project = nn.Conv2d(12, 6, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(6)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self.norm1(self.expand(x)))
        y = F.relu6(self.norm2(self.depthwise(y)))
        projected: Tensor = self.norm3(self.project(y))
        return x + projected


class Network(nn.Module):
    """Everything that relmask's backbones are made of, small."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, stride=2)
        self.norm = nn.BatchNorm2d(6, eps=1e-3)
        self.block = Block()
        self.conv = nn.Conv2d(6, 8, 3, padding=1)
        self.head = nn.Linear(14, 5)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean = 0.3 * torch.randn(module.num_features)
                module.running_var = torch.rand(module.num_features) + 0.3
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, std=0.3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.stem(F.pad(x, (0, 1, 0, 1)))))
        x = self.block(x)
        deep = F.avg_pool2d(F.max_pool2d(F.relu(self.conv(x)), 2), 2)
        pooled = torch.cat((F.adaptive_avg_pool2d(deep, 1), x.relu().mean((2, 3), keepdim=True)), 1)
        logits: Tensor = self.head(pooled.flatten(1))
        return logits


Weights = tuple[Tensor, Tensor]
Call = Callable[[Tensor, Tensor, Tensor], Tensor]


def pinned(total: Tensor, value: Tensor) -> Tensor:
    """`value`, with a gradient that shares it in proportion to the summands of `total`."""
    shared = total * (value / (total + 1e-6 * torch.where(total < 0, -1, 1))).detach()
    return value.detach() + shared - shared.detach()


def folded(layer: nn.Conv2d | nn.Linear, norm: nn.BatchNorm2d | None) -> Weights:
    weight, bias = layer.weight.detach(), layer.bias
    bias = torch.zeros(len(weight)).to(weight) if bias is None else bias.detach()
    if norm is None:
        return weight, bias
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach()
    return weight * scale.view(-1, 1, 1, 1), (bias - norm.running_mean) * scale + norm.bias.detach()


def signed(x: Tensor, w: Tensor, b: Tensor, call: Call, sign: int) -> Tensor:
    """Sum of the contributions of one sign."""
    up, down = (w.clamp(min=0), w.clamp(max=0)) if sign > 0 else (w.clamp(max=0), w.clamp(min=0))
    bias = b.clamp(min=0) if sign > 0 else b.clamp(max=0)
    return call(x.clamp(min=0), up, bias) + call(x.clamp(max=0), down, torch.zeros_like(b))


class Oracle:
    """The network's forward pass, written so that input times gradient is its relevance."""

    def __init__(self, network: Network, convolution: str) -> None:
        self.network = network
        self.convolution = convolution

    def layer(self, x: Tensor, weights: Weights, call: Call, rule: str) -> Tensor:
        w, b = weights
        z = call(x, w, b)
        if rule == "epsilon":
            return pinned(z, z)
        if rule == "zplus":
            return pinned(signed(x, w, b, call, +1), z)
        if rule == "alpha2beta1":
            return 2 * pinned(signed(x, w, b, call, +1), z) - pinned(signed(x, w, b, call, -1), z)
        assert rule == "gamma"
        up = z + 0.25 * signed(x, w, b, call, +1)
        down = z + 0.25 * signed(x, w, b, call, -1)
        return torch.where(z > 0, pinned(up, z), pinned(down, z))

    def conv(self, x: Tensor, layer: nn.Conv2d, norm: nn.BatchNorm2d | None = None, rule: str = "") -> Tensor:
        def call(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
            return F.conv2d(x, w, b, layer.stride, layer.padding, layer.dilation, layer.groups)

        return self.layer(x, folded(layer, norm), call, rule or self.convolution)

    def __call__(self, x: Tensor, by_size: bool, first: Callable[[Tensor], Tensor] | None) -> Tensor:
        net = self.network
        padded = F.pad(x, (0, 1, 0, 1))
        z = first(x) if first else self.conv(padded, net.stem, net.norm)
        x = relu(z)
        block = net.block
        y = capped(self.conv(x, block.expand, block.norm1))
        y = capped(self.conv(y, block.depthwise, block.norm2))
        y = self.conv(y, block.project, block.norm3)
        x = pinned(x.abs() + y.abs(), x + y) if by_size else pinned(x + y, x + y)
        deep = F.max_pool2d(relu(self.conv(x, net.conv)), 2)
        deep = pinned(F.avg_pool2d(deep, 2), F.avg_pool2d(deep, 2))
        both = deep.mean((2, 3)), relu(x).mean((2, 3))
        return self.layer(
            torch.cat([pinned(mean, mean) for mean in both], 1), folded(net.head, None), F.linear, "epsilon"
        )


def relu(x: Tensor) -> Tensor:
    return x * (x > 0)


def capped(x: Tensor) -> Tensor:
    return x * torch.where(x == 0, 1, F.relu6(x) / x).detach()


@pytest.fixture
def network() -> Network:
    return Network().double().eval()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(3, 3, 18, 20, dtype=torch.float64).clamp(LOW, HIGH)


@pytest.mark.parametrize(
    ("composite", "rule", "by_size"),
    [
        ("epsilon_plus", "zplus", False),
        ("epsilon_alpha2_beta1", "alpha2beta1", False),
        (Composite("g", ((kind("convolution"), Gamma(0.25)), (kind("linear"), Epsilon()))), "gamma", False),
        (Composite("e", ((kind("convolution"), Epsilon()), (kind("linear"), Epsilon()))), "epsilon", False),
        (BY_SIZE, "zplus", True),
    ],
    ids=["epsilon_plus", "epsilon_alpha2_beta1", "gamma", "epsilon", "by size"],
)
def test_a_network_equals_its_modified_gradient(
    network: Network, images: Tensor, composite: str | Composite, rule: str, by_size: bool
) -> None:
    logits, relevance = compile(network, images, composite)(images, 1)
    leaf = images.clone().requires_grad_()
    expected_logits = Oracle(network, rule)(leaf, by_size, None)
    (gradient,) = torch.autograd.grad(expected_logits[:, 1].sum(), leaf)
    torch.testing.assert_close(logits, network(images))
    torch.testing.assert_close(relevance, images * gradient, rtol=1e-5, atol=1e-9)


def flat_stem(network: Network) -> Callable[[Tensor], Tensor]:
    """The first layer, so that the gradient alone is relevance."""
    weight, bias = folded(network.stem, network.norm)
    ones = torch.ones_like(weight)

    def call(x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (0, 1, 0, 1)), weight, None, 2)

    def flat(x: Tensor) -> Tensor:
        z = call(x.detach(), weight) + bias.view(-1, 1, 1)
        return pinned(call(torch.ones_like(x) + x - x.detach(), ones), z)

    return flat


@pytest.mark.parametrize(
    ("composite", "rule"),
    [("epsilon_plus_flat", "zplus"), ("epsilon_alpha2_beta1_flat", "alpha2beta1")],
)
def test_flat_presets_equal_their_modified_gradient(
    network: Network, images: Tensor, composite: str, rule: str
) -> None:
    _, relevance = compile(network, images, composite)(images, 3)
    leaf = images.clone().requires_grad_()
    expected = Oracle(network, rule)(leaf, False, flat_stem(network))[:, 3].sum()
    torch.testing.assert_close(relevance, torch.autograd.grad(expected, leaf)[0], rtol=1e-5, atol=1e-9)


def test_the_box_preset_equals_its_modified_gradient(network: Network, images: Tensor) -> None:
    _, relevance = compile(network, images, epsilon_gamma_box(LOW, HIGH))(images, 3)
    sides = [images, torch.full_like(images, LOW), torch.full_like(images, HIGH)]
    x, low, high = (side.clone().requires_grad_() for side in sides)
    weight, bias = folded(network.stem, network.norm)

    def box(_: Tensor) -> Tensor:
        def call(side: Tensor, weight: Tensor) -> Tensor:
            return F.conv2d(F.pad(side, (0, 1, 0, 1)), weight, None, 2)

        total = call(x, weight) - call(low, weight.clamp(min=0)) - call(high, weight.clamp(max=0))
        return pinned(total, call(images, weight) + bias.view(-1, 1, 1))

    expected = Oracle(network, "gamma")(x, False, box)[:, 3].sum()
    gradients = torch.autograd.grad(expected, (x, low, high))
    parts = sum(side * gradient for side, gradient in zip((x, low, high), gradients, strict=True))
    torch.testing.assert_close(relevance, parts, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(
    ("captums", "rule"),
    [(EpsilonRule, Epsilon(1e-9)), (Alpha1_Beta0_Rule, AlphaBeta(1, 0))],
    ids=["epsilon", "alpha1"],
)
def test_a_plain_network_equals_captum(captums: type, rule: Epsilon | AlphaBeta) -> None:
    layers = [
        nn.Conv2d(3, 6, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, bias=False),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 4, bias=False),
    ]
    model = nn.Sequential(*layers).double().eval()
    layers[0].bias = nn.Parameter(torch.rand(6).double())  # captum counts negative biases as positive
    images = torch.rand(2, 3, 12, 14, dtype=torch.float64)
    composite = Composite("same", ((kind("convolution"), rule), (kind("linear"), rule)))
    _, relevance = compile(model, images, composite)(images, torch.tensor([1, 2]))
    for layer in layers:
        layer.rule = captums() if isinstance(layer, nn.Conv2d | nn.Linear) else EpsilonRule()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = LRP(model).attribute(images, target=torch.tensor([1, 2]))
    torch.testing.assert_close(relevance, expected, rtol=1e-4, atol=1e-6)


def test_z_plus_is_alpha1_beta0(network: Network, images: Tensor) -> None:
    rules = [
        Composite("c", ((kind("convolution"), rule), (kind("linear"), Epsilon())))
        for rule in (ZPlus(), AlphaBeta(1, 0))
    ]
    one, other = (compile(network, images, composite)(images)[1] for composite in rules)
    torch.testing.assert_close(one, other)
