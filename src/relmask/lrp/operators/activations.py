"""Elementwise functions pass relevance on: what arrives at f(x) goes to x."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node

from relmask.lrp.operators.arguments import arguments
from relmask.lrp.operators.table import Outline, Passed, Step, always, aten, operator

LOG_SOFTMAX = {aten.log_softmax.int, aten._log_softmax.default}


def _limits(node: Node) -> tuple[float, float]:
    """Limits of a clamp, which may lack one or both."""
    given = arguments(node)
    low, high = (given.get(name, given.get(f"{name}_val")) for name in ("min", "max"))
    return -math.inf if low is None else low, math.inf if high is None else high


def _from_zero_up(node: Node) -> bool:
    low, high = _limits(node)
    return 0 <= low <= high


def _from_zero(node: Node) -> bool:
    low, high = _limits(node)
    return 0 == low <= high


def _not_below_zero(node: Node) -> bool:
    return _limits(node)[1] >= 0


@operator(
    aten.relu.default,
    aten.relu6.default,
    recalls="nothing",
    positive=always,
    rectifies=always,
    zeros="its output's",
)
@operator(
    aten.hardtanh.default,
    aten.clamp.default,
    aten.clamp_min.default,
    recalls="nothing",
    positive=_from_zero_up,
    keeps_sign=_not_below_zero,
    rectifies=_from_zero,
)
@operator(
    aten.leaky_relu.default,
    aten.elu.default,
    aten.celu.default,
    aten.selu.default,
    aten.softshrink.default,
    aten.hardshrink.default,
    aten.gelu.default,
    aten.silu.default,
    aten.mish.default,
    aten.hardswish.default,
    aten.tanh.default,
    aten.sqrt.default,
    recalls="nothing",
    keeps_sign=always,
    zeros="its output's",
)
@operator(aten.square.default, aten.abs.default, recalls="nothing", positive=always, zeros="its output's")
@operator(aten.softplus.default, aten.exp.default, recalls="nothing", positive=always)
@operator(aten.sigmoid.default, aten.hardsigmoid.default, recalls="nothing", positive=always, gates=True)
@operator(aten.pow.Tensor_Scalar, recalls="nothing", keeps_sign=always)
@operator(aten.rsqrt.default, aten.reciprocal.default, recalls="nothing", gates=True)
@operator(aten.log.default, aten.neg.default, aten.threshold.default, recalls="nothing")
@operator(aten.prelu.default, recalls="nothing", zeros="its output's")
def unchanged(step: Step, x: Tensor, *arguments: Any, **options: Any) -> Passed:  # noqa: ANN401 - as in the graph
    """All relevance of f(x) to x."""
    return (step.relevance,)


@operator(
    aten.clone.default,
    aten.detach.default,
    aten.alias.default,
    aten.dropout.default,
    aten.feature_dropout.default,
    aten.alpha_dropout.default,
    aten.feature_alpha_dropout.default,
    aten.to.dtype,
    aten._to_copy.default,
    aten.contiguous.default,
    recalls="nothing",
    keeps_sign=always,
    zeros="its output's",
)
def same(step: Step, x: Tensor, *arguments: Any, **options: Any) -> Passed:  # noqa: ANN401 - as in the graph
    """All relevance of a copy to what was copied."""
    return (step.relevance,)


@operator(aten.glu.default, recalls="nothing")
def glu(step: Step, x: Outline, dim: int = -1) -> Passed:
    """All to the first half; the second half is its gate."""
    return (torch.cat((step.relevance, torch.zeros_like(step.relevance)), dim),)
