"""Operators that pick values: what arrives at a copy goes to where the value was taken from."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from relmask.lrp.operators.table import Outline, Passed, Step, always, aten, operator, sum_to

PICKS = {"recalls": "nothing", "keeps_sign": always, "zeros": "its output's"}


def sent_back(pick: Callable[[Tensor], Tensor], x: Tensor | Outline, relevance: Tensor) -> Tensor:
    """Relevance of x, given that of copies of some of its values, in any order.

    Args:
        pick: makes the copies; it is asked once more, with numbers of places in place of values, and where it
            adds zeros nothing comes from.
        x: the shape that it picks from.
        relevance: of the copies.
    """
    count = x.shape.numel()
    numbers = torch.arange(1, count + 1, dtype=torch.float64, device=relevance.device).view(x.shape)
    places = pick(numbers).flatten().long()
    return relevance.new_zeros(count + 1).scatter_add(0, places, relevance.flatten())[1:].view(x.shape)


def _picked(
    pick: Callable[..., Tensor],
    step: Step,
    x: Tensor | Outline,
    *arguments: Any,  # noqa: ANN401 - as in the graph
    **options: Any,  # noqa: ANN401
) -> Passed:
    return (sent_back(lambda numbers: pick(numbers, *arguments, **options), x, step.relevance),)


for overload in (
    aten.channel_shuffle.default,
    aten.diagonal.default,
    aten.flip.default,
    aten.im2col.default,
    aten.pixel_shuffle.default,
    aten.pixel_unshuffle.default,
    aten.repeat.default,
    aten.repeat_interleave.self_int,
    aten.roll.default,
    aten.unfold.default,
):
    operator(overload, **PICKS)(partial(_picked, overload))


def _first(depends: Sequence[bool], gates: Sequence[bool]) -> Sequence[bool]:
    """What is chosen from; the numbers of places get nothing."""
    return [depends[0], *(False for _ in depends[1:])]


def _not_first(depends: Sequence[bool], gates: Sequence[bool]) -> Sequence[bool]:
    """All but the condition, or what is overwritten."""
    return [False, *depends[1:]]


for overload in (aten.index.Tensor, aten.index_select.default, aten.gather.default):
    # The numbers of places are needed, so inputs are recalled.
    operator(overload, **PICKS | {"recalls": "inputs", "carries": _first})(partial(_picked, overload))


@operator(aten.max.dim, aten.min.dim, recalls="output", keeps_sign=always, zeros="its output's")
def max_(step: Step, x: Outline, dim: int, keepdim: bool = False) -> Passed:
    """The winner takes all; the forward pass told where it stood."""
    relevance, places = step.relevance[0], step.output[1]
    if not keepdim:
        relevance, places = relevance.unsqueeze(dim), places.unsqueeze(dim)
    return (relevance.new_zeros(x.shape).scatter_add(dim, places, relevance),)


@operator(aten.topk.default, recalls="output", keeps_sign=always, zeros="its output's")
def topk(step: Step, x: Outline, k: int, dim: int = -1, *arguments: Any) -> Passed:  # noqa: ANN401 - as in the graph
    """The chosen ones keep what arrived; the others get nothing."""
    return (step.relevance[0].new_zeros(x.shape).scatter_add(dim, step.output[1], step.relevance[0]),)


@operator(aten.sort.default, recalls="output", keeps_sign=always, zeros="its output's")
def sort(step: Step, x: Outline, dim: int = -1, *arguments: Any) -> Passed:  # noqa: ANN401 - as in the graph
    """Relevance goes back to where each value stood before sorting."""
    return (step.relevance[0].new_zeros(x.shape).scatter_add(dim, step.output[1], step.relevance[0]),)


@operator(aten.unbind.int, **PICKS)
def unbind(step: Step, x: Outline, dim: int = 0) -> Passed:
    """Stacked again; nothing for parts that nobody used."""
    like = next(part for part in step.relevance if part is not None)
    return (torch.stack([torch.zeros_like(like) if part is None else part for part in step.relevance], dim),)


@operator(
    aten.where.self,
    aten.where.ScalarOther,
    aten.where.ScalarSelf,
    recalls="inputs",
    carries=_not_first,
)
def where(step: Step, condition: Tensor, a: Any, b: Any) -> Passed:  # noqa: ANN401 - a tensor or a number
    """All to the side that was chosen, at every location."""
    sides = ((a, condition), (b, ~condition))
    parts = [sum_to(step.relevance * chosen, side) for side, chosen in sides if isinstance(side, Tensor)]
    return (None, *parts)


@operator(aten.masked_fill.Scalar, aten.masked_fill.Tensor, recalls="inputs", carries=_first)
def masked_fill(step: Step, x: Tensor, mask: Tensor, value: Any) -> Passed:  # noqa: ANN401 - a tensor or a number
    """All to what was not filled; the filling is a constant."""
    return (sum_to(step.relevance.masked_fill(mask, 0), x),)


@operator(aten.maximum.default, aten.minimum.default, alone=True, keeps_sign=always)
def maximum(step: Step, a: Tensor, b: Tensor) -> Passed:
    """The winner takes all; equal ones share."""
    wins = [(side == step.output).to(step.relevance) for side in (a, b)]
    share = step.relevance / (wins[0] + wins[1])
    return sum_to(wins[0] * share, a), sum_to(wins[1] * share, b)


@operator(aten.slice_scatter.default, **PICKS)
def slice_scatter(
    step: Step,
    x: Outline,
    source: Outline,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    skip: int = 1,
) -> Passed:
    """To what was written, and the rest to what was not overwritten."""
    written = aten.slice.Tensor(step.relevance, dim, start, end, skip)
    kept = aten.slice_scatter.default(step.relevance, torch.zeros_like(written), dim, start, end, skip)
    return kept, written


@operator(aten.select_scatter.default, **PICKS)
def select_scatter(step: Step, x: Outline, source: Outline, dim: int, index: int) -> Passed:
    """To what was written, and the rest to what was not overwritten."""
    written = aten.select.int(step.relevance, dim, index)
    return aten.select_scatter.default(step.relevance, torch.zeros_like(written), dim, index), written


@operator(aten.copy.default, **PICKS | {"carries": _not_first})
def copy(step: Step, x: Outline, source: Outline, *arguments: Any) -> Passed:  # noqa: ANN401 - as in the graph
    """All to what was written; nothing is left of what was overwritten."""
    return None, sum_to(step.relevance, source)
