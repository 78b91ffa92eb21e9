"""Sums, means and maxima over axes."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from relmask.lrp.affine import stabilise
from relmask.lrp.operators.table import Passed, Step, always, aten, operator

SUM = {"keeps_sign": always, "zeros": "no"}


def _expanded(value: Tensor, x: Tensor, dims: Sequence[int] | None, keepdim: bool) -> Tensor:
    """A reduced value, broadcast to the shape it was reduced from."""
    axes = sorted(axis % x.ndim for axis in dims) if dims else range(x.ndim)
    if not keepdim:
        for axis in axes:
            value = value.unsqueeze(axis)
    return value.expand(x.shape)


@operator(aten.sum.dim_IntList, **SUM)
def sum_(step: Step, x: Tensor, dim: Sequence[int] | None, keepdim: bool = False, **options: Any) -> Passed:  # noqa: ANN401
    """Each summand takes what it brought, sign and all."""
    return (x * _expanded(step.relevance / stabilise(step.output), x, dim, keepdim),)


@operator(aten.mean.dim, **SUM)
def mean(step: Step, x: Tensor, dim: Sequence[int] | None, keepdim: bool = False, **options: Any) -> Passed:  # noqa: ANN401
    """As a sum, divided by the number of summands."""
    count = x.numel() // step.output.numel()
    return (x * _expanded(step.relevance / (stabilise(step.output) * count), x, dim, keepdim),)


@operator(aten.amax.default, aten.amin.default, keeps_sign=always, zeros="its output's")
def amax(step: Step, x: Tensor, dim: Sequence[int] = (), keepdim: bool = False) -> Passed:
    """The winner takes all; equal winners share."""
    winners = (x == _expanded(step.output, x, dim, keepdim)).to(x)
    count = winners.sum(list(dim) or None, keepdim=True)
    return (winners / count * _expanded(step.relevance, x, dim, keepdim),)


@operator(aten.logsumexp.default)
def logsumexp(step: Step, x: Tensor, dim: Sequence[int], keepdim: bool = False) -> Passed:
    """Shared by softmax(x), the weight of each summand in the logarithm."""
    weight = torch.exp(x - _expanded(step.output, x, dim, keepdim))
    return (weight * _expanded(step.relevance, x, dim, keepdim),)
