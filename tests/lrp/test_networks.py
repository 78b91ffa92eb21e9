"""Whole networks against captum, and rules that agree with each other."""

import warnings

import pytest
import torch
from captum.attr import LRP
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule
from torch import nn

from relmask.lrp import AlphaBeta, Composite, Epsilon, Magnitude, ZPlus, compile, kind
from tests.lrp import oracle
from tests.lrp.architectures import example, network

BY_SIZE = Composite(
    "by size",
    ((kind("convolution"), ZPlus()), (kind("linear"), Epsilon()), (kind("add"), Magnitude())),
)


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
