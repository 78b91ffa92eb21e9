"""Elementwise functions pass relevance on: what arrives at f(x) goes to x."""

from typing import Any

from torch import Tensor
from torch.fx import Node

from relmask.lrp.operators.table import Passed, Step, always, aten, operator


def _argument(node: Node, position: int, name: str) -> Any:  # noqa: ANN401 - as in the graph
    return node.args[position] if len(node.args) > position else node.kwargs.get(name)


def _floor(node: Node) -> float | None:
    """The lower limit of a clamp or hardtanh."""
    target = str(node.target)
    if "hardtanh" in target:
        low = _argument(node, 1, "min_val")
        return -1.0 if low is None else low
    return _argument(node, 1, "min")


def _not_negative(node: Node) -> bool:
    low = _floor(node)
    return isinstance(low, int | float) and low >= 0


def _zero_below_zero(node: Node) -> bool:
    return _floor(node) == 0


@operator(
    aten.relu.default,
    aten.relu6.default,
    values=False,
    positive=always,
    rectifies=always,
    zeros="its output's",
)
@operator(
    aten.hardtanh.default,
    aten.clamp.default,
    aten.clamp_min.default,
    values=False,
    positive=_not_negative,
    rectifies=_zero_below_zero,
    monotone=True,
)
@operator(
    aten.leaky_relu.default,
    aten.gelu.default,
    aten.silu.default,
    aten.hardswish.default,
    aten.tanh.default,
    aten.elu.default,
    aten.mish.default,
    aten.sqrt.default,
    values=False,
    monotone=True,
    zeros="its output's",
)
@operator(aten.square.default, aten.abs.default, values=False, positive=always, zeros="its output's")
@operator(aten.softplus.default, aten.exp.default, values=False, positive=always)
@operator(aten.log.default, aten.neg.default, values=False)
def unchanged(step: Step, x: Tensor, *arguments: Any, **options: Any) -> Passed:  # noqa: ANN401 - as in the graph
    """All of it."""
    return (step.relevance,)


@operator(aten.sigmoid.default, aten.hardsigmoid.default, values=False, positive=always, gates=True)
def gate(step: Step, x: Tensor) -> Passed:
    """All of it, where it is no gate."""
    return (step.relevance,)


@operator(
    aten.clone.default,
    aten.detach.default,
    aten.alias.default,
    aten.dropout.default,
    aten.contiguous.default,
    values=False,
    monotone=True,
    zeros="its output's",
)
def same(step: Step, x: Tensor, *arguments: Any, **options: Any) -> Passed:  # noqa: ANN401 - as in the graph
    """A copy."""
    return (step.relevance,)
