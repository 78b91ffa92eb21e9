"""Whole networks against captum, and rules that agree with each other."""

import copy
import warnings

import pytest
import torch
from captum.attr import LRP
from captum.attr._utils.custom_modules import Addition_Module
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from relmask.lrp import AlphaBeta, Composite, Epsilon, Magnitude, ZPlus, compile, kind
from tests.lrp import oracle
from tests.lrp.architectures import example, network

BY_SIZE = Composite(
    "by size",
    ((kind("convolution"), ZPlus()), (kind("linear"), Epsilon()), (kind("add"), Magnitude())),
)


def plain(deep: bool) -> list[nn.Module]:
    """Layers that captum knows; it counts negative biases of alpha1-beta0 as positive, so there are none."""
    first = [nn.Conv2d(3, 6, 3), nn.ReLU(), nn.MaxPool2d(2)]
    last = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(8, 4, bias=False)]
    between = [nn.Conv2d(6, 8, 3, bias=False), nn.ReLU()]
    if deep:
        between += [nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.ReLU(), nn.AvgPool2d(2)]
        between += [nn.Conv2d(8, 8, 3, padding=1, stride=2, groups=4, bias=False), nn.ReLU()]
    layers = [*first, *between, *last]
    for layer in layers:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.normal_(layer.weight)
    nn.init.uniform_(first[0].bias)  # type: ignore[arg-type]
    return layers


@pytest.mark.parametrize("deep", [False, True], ids=["two convolutions", "four"])
@pytest.mark.parametrize(
    ("captums", "rule"),
    [(EpsilonRule, Epsilon(1e-6)), (Alpha1_Beta0_Rule, AlphaBeta(1, 0))],
    ids=["epsilon", "alpha1"],
)
@pytest.mark.parametrize(
    ("kind_of_float", "tolerance"), [(torch.float64, 1e-5), (torch.float32, 1e-3)], ids=["64", "32"]
)
def test_a_plain_network_equals_captum(
    deep: bool, captums: type, rule: Epsilon | AlphaBeta, kind_of_float: torch.dtype, tolerance: float
) -> None:
    layers = plain(deep)
    model = nn.Sequential(*layers).to(kind_of_float).eval()
    images, target = torch.rand(2, 3, 16, 18, dtype=kind_of_float), torch.tensor([1, 2])
    composite = Composite("same", ((kind("convolution"), rule), (kind("linear"), rule)))
    _, relevance = compile(model, images, composite, sizes=False)(images, target)
    for layer in layers:
        theirs = captums() if isinstance(layer, nn.Conv2d | nn.Linear) else EpsilonRule()
        if not isinstance(layer, nn.MaxPool2d):  # whose winner takes all, without an epsilon
            theirs.STABILITY_FACTOR = 1e-6
        layer.rule = theirs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = LRP(model).attribute(images, target=target).detach()
    largest = float(expected.abs().max())
    torch.testing.assert_close(relevance, expected, rtol=tolerance, atol=tolerance * largest)


class Residual(nn.Module):
    """A residual block as captum can follow it: every sum and every function is a module.

    Folded, no bias is negative: captum counts negative ones of alpha1-beta0 as positive.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, bias=False), nn.ReLU())
        self.conv = nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.norm: nn.BatchNorm2d | None = nn.BatchNorm2d(6)
        self.add = Addition_Module()
        self.head = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.linear = nn.Linear(6, 4, bias=False)
        self.norm.running_mean, self.norm.running_var = -torch.rand(6), torch.rand(6) + 0.5
        nn.init.uniform_(self.norm.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        hidden = self.conv(x) if self.norm is None else self.norm(self.conv(x))
        logits: Tensor = self.linear(self.head(self.add(hidden, x)).flatten(1))
        return logits

    def folded(self) -> nn.Module:
        """The same network without batch norm."""
        made = copy.deepcopy(self)
        assert made.norm is not None
        made.conv, made.norm = fuse_conv_bn_eval(made.conv, made.norm), None
        return made.eval()


@pytest.mark.parametrize(
    ("captums", "rule"),
    [(EpsilonRule, Epsilon(1e-6)), (Alpha1_Beta0_Rule, AlphaBeta(1, 0))],
    ids=["epsilon", "alpha1"],
)
def test_a_residual_network_equals_captum_that_gets_it_with_batch_norm_folded(
    captums: type, rule: Epsilon | AlphaBeta
) -> None:
    """Without folding its maps are others, and with `a + b` as a function it counts the sum twice."""
    model = Residual().double().eval().requires_grad_(False)
    images = torch.rand(2, 3, 12, 10, dtype=torch.float64)
    composite = Composite("same", ((kind("convolution"), rule), (kind("linear"), Epsilon())))
    relevance = compile(model, images, composite, sizes=False)(images, 1)[1]
    folded = model.folded()
    for layer in folded.modules():
        if not list(layer.children()) and not isinstance(layer, nn.ReLU | nn.Dropout):
            theirs = captums() if isinstance(layer, nn.Conv2d) else EpsilonRule()
            theirs.STABILITY_FACTOR = 1e-6
            layer.rule = theirs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = LRP(folded).attribute(images, target=1).detach()
    torch.testing.assert_close(relevance, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("name", ["resnet", "mobilenet v2"])
def test_summands_that_share_by_size_equal_their_modified_gradient(name: str) -> None:
    model, images = network(name), example(name)
    relevance = compile(model, images, BY_SIZE, sizes=False)(images, 1)[1]
    wanted = oracle.relevance_of(model, images, 1, oracle.zplus, weigh=torch.abs)
    torch.testing.assert_close(relevance, wanted, rtol=1e-5, atol=1e-9 * float(wanted.abs().max()))


def test_z_plus_is_alpha1_beta0() -> None:
    model, images = network("mobilenet v2"), example("mobilenet v2")
    rules = [
        Composite("c", ((kind("convolution"), rule), (kind("linear"), Epsilon())))
        for rule in (ZPlus(), AlphaBeta(1, 0))
    ]
    one, other = (compile(model, images, composite, sizes=False)(images)[1] for composite in rules)
    torch.testing.assert_close(one, other)
