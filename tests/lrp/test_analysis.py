from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.fx import Node
from torch.nn import functional as F

from relmask.lrp.analysis import Analysis
from relmask.lrp.graph import capture
from relmask.lrp.module_paths import module_path


class Model(nn.Module):
    """Three layers, and any forward."""

    def __init__(self, function: Callable[["Model", Tensor], Tensor]) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 3, 3, padding=1)
        self.two = nn.Conv2d(3, 3, 3, padding=1)
        self.head = nn.Conv2d(3, 2, 1)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x).flatten(1)


def analysed(function: Callable[[Model, Tensor], Tensor]) -> Analysis:
    return Analysis(capture(Model(function), torch.randn(2, 3, 8, 8), ()))


def layer(found: Analysis, name: str) -> Node:
    return next(node for node in found.layers if module_path(node) == name)


@pytest.mark.parametrize(
    "between",
    [
        F.relu,
        F.relu6,
        lambda x: F.hardtanh(x, 0.0, 4.0),
        lambda x: x.clamp(min=0),
        torch.sigmoid,
        torch.square,
        lambda x: x.flatten(1).softmax(1).view_as(x),
        lambda x: F.max_pool2d(F.relu(x), 2),
        lambda x: F.interpolate(F.avg_pool2d(x.abs(), 2), scale_factor=2, mode="bilinear"),
        lambda x: torch.cat((F.relu(x), x.exp()), 1)[:, :3] + F.pad(F.relu(x), (1, -1)),
        lambda x: F.dropout(F.relu(x) * 2 + torch.ones(3, 1, 1), training=False),
    ],
)
def test_an_input_known_not_to_be_negative_is_recognised(between: Callable[[Tensor], Tensor]) -> None:
    found = analysed(lambda model, x: model.head(between(model.one(x))))
    assert layer(found, "head").args[0] in found.non_negative


@pytest.mark.parametrize(
    "between",
    [
        lambda x: x,
        F.hardtanh,
        F.leaky_relu,
        torch.tanh,
        lambda x: F.relu(x) - 1,
        lambda x: F.relu(x) * -2,
        lambda x: torch.add(F.relu(x), F.relu(x), alpha=-1),
        lambda x: F.relu(x) / torch.tensor(-3.0),
        lambda x: F.pad(F.relu(x), (1, -1), value=-1.0),
        lambda x: F.relu(x).clamp(max=-1),
        lambda x: F.relu(x) ** 3 - 2,
        lambda x: torch.cat((F.relu(x), x), 1)[:, :3],
        lambda x: F.relu(x) - F.relu(-x),
        lambda x: F.relu(x) + torch.tensor([-1.0, 1, 1])[:, None, None],
    ],
)
def test_an_input_that_may_be_negative_is_not(between: Callable[[Tensor], Tensor]) -> None:
    found = analysed(lambda model, x: model.head(between(model.one(x))))
    assert layer(found, "head").args[0] not in found.non_negative


def test_first_layers_have_no_layer_before_them() -> None:
    found = analysed(lambda model, x: model.head(F.relu(model.one(x * 2)) + F.relu(model.two(x))))
    assert {module_path(node) for node in found.first} == {"one", "two"}
    found = analysed(lambda model, x: model.head(model.two(model.one(x)) + x))
    assert {module_path(node) for node in found.first} == {"one"}


def test_layers_behind_a_gate_are_not_reached() -> None:
    found = analysed(lambda model, x: model.head(x * model.two(model.one(x).square()).sigmoid()))
    assert {module_path(node) for node in found.layers if node in found.reached} == {"head"}
    assert found.first == {layer(found, "head")}


def test_only_a_rectified_layer_is_silent_below_zero() -> None:
    def silent(function: Callable[[Model, Tensor], Tensor], keeps_zeros: bool = True) -> bool:
        found = analysed(function)
        return found.silent(layer(found, "one"), lambda node: keeps_zeros)

    assert silent(lambda model, x: model.head(F.relu(model.one(x))))
    assert silent(lambda model, x: model.head(F.max_pool2d(F.relu6(model.one(x)), 2)))
    assert silent(lambda model, x: F.relu(model.one(x)).mean((2, 3)))
    assert not silent(lambda model, x: model.head(model.one(x)))
    assert not silent(lambda model, x: model.head((y := model.one(x)) + F.relu(y)))
    assert not silent(lambda model, x: model.head(F.leaky_relu(model.one(x))))
    assert not silent(lambda model, x: model.head(F.relu(model.one(x)) + 1)), "zeros of the sum are others"
    assert not silent(lambda model, x: model.head(F.relu(model.one(x))), keeps_zeros=False)
    assert not silent(lambda model, x: F.relu(model.one(x))), "relevance may start anywhere"
