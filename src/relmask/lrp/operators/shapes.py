"""Operators that move values about: relevance moves back the same way."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node
from torch.nn import functional as F

from relmask.lrp.operators.arguments import arguments
from relmask.lrp.operators.selection import sent_back
from relmask.lrp.operators.table import Passed, Step, always, aten, operator

MOVES = {"recalls": "nothing", "keeps_sign": always, "zeros": "its output's"}


@operator(
    aten.view.default,
    aten._unsafe_view.default,
    aten.reshape.default,
    aten.flatten.using_ints,
    aten.unflatten.int,
    aten.unsqueeze.default,
    aten.squeeze.dim,
    aten.squeeze.dims,
    aten.squeeze.default,
    **MOVES,
)
def reshape(step: Step, x: Tensor, *arguments: Any) -> Passed:  # noqa: ANN401 - as in the graph
    """The same values in another shape."""
    return (step.relevance.reshape(x.shape),)


@operator(aten.expand.default, **MOVES)
def expand(step: Step, x: Tensor, *arguments: Any, **options: Any) -> Passed:  # noqa: ANN401 - as in the graph
    """A value takes what arrives at all its copies."""
    return (step.relevance.sum_to_size(x.shape),)


@operator(aten.permute.default, **MOVES)
def permute(step: Step, x: Tensor, dims: Sequence[int]) -> Passed:
    """Axes go back into the old order."""
    axes = [axis % len(dims) for axis in dims]
    return (step.relevance.permute([axes.index(axis) for axis in range(len(axes))]),)


@operator(aten.transpose.int, **MOVES)
def transpose(step: Step, x: Tensor, dim0: int, dim1: int) -> Passed:
    """The same two axes are swapped again."""
    return (step.relevance.transpose(dim0, dim1),)


@operator(aten.cat.default, **MOVES)
def cat(step: Step, tensors: Sequence[Tensor], dim: int = 0) -> Passed:
    """To each tensor what arrived at its place in the joined one."""
    parts: tuple[Tensor, ...] = step.relevance.split([tensor.shape[dim] for tensor in tensors], dim)
    return parts


@operator(aten.stack.default, **MOVES)
def stack(step: Step, tensors: Sequence[Tensor], dim: int = 0) -> Passed:
    """To each tensor what arrived at its place in the joined one."""
    parts: tuple[Tensor, ...] = step.relevance.unbind(dim)
    return parts


@operator(aten.slice.Tensor, **MOVES)
def slice_(
    step: Step, x: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, skip: int = 1
) -> Passed:
    """To where the slice was; nothing elsewhere."""
    size = x.shape[dim]
    last = size if end is None else min(end, size)
    return (aten.slice_backward(step.relevance, list(x.shape), dim, start or 0, last, skip),)


@operator(aten.select.int, **MOVES)
def select(step: Step, x: Tensor, dim: int, index: int) -> Passed:
    """To where it was taken; nothing elsewhere."""
    return (aten.select_backward(step.relevance, list(x.shape), dim, index),)


@operator(aten.split.Tensor, aten.split_with_sizes.default, aten.chunk.default, **MOVES)
def split(step: Step, x: Tensor, sizes: Any, dim: int = 0) -> Passed:  # noqa: ANN401 - one size or a list
    """Joined again; nothing for parts that nobody used."""
    like = next(part for part in step.relevance if part is not None)
    parts = [
        like.new_zeros(outline.shape) if part is None else part
        for part, outline in zip(step.relevance, step.output, strict=True)
    ]
    return (torch.cat(parts, dim),)


def _no_negative_border(node: Node) -> bool:
    return (arguments(node)["value"] or 0) >= 0


@operator(
    aten.pad.default,
    aten.constant_pad_nd.default,
    recalls="nothing",
    keeps_sign=_no_negative_border,
    zeros="its output's",
)
def pad(step: Step, x: Tensor, widths: Sequence[int], *arguments: Any) -> Passed:  # noqa: ANN401 - as in the graph
    """Without the border; what arrives at a border made of copies goes to what was copied."""
    if not arguments or arguments[0] == "constant" or isinstance(arguments[0], int | float):
        return (F.pad(step.relevance, [-width for width in widths]),)
    return (sent_back(lambda numbers: aten.pad(numbers, widths, *arguments), x, step.relevance),)
