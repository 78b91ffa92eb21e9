"""Pooling: the winner takes all of a maximum, an average is shared."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from relmask.lrp.affine import stabilise
from relmask.lrp.operators.table import Passed, Step, always, aten, operator

AVERAGE = {"recalls": "inputs", "kind": "average", "keeps_sign": always, "zeros": "no"}
Map = Callable[[Tensor], Tensor]


@operator(
    aten.max_pool1d_with_indices.default,
    aten.max_pool2d_with_indices.default,
    aten.max_pool3d_with_indices.default,
    aten.adaptive_max_pool1d.default,
    aten.adaptive_max_pool2d.default,
    aten.adaptive_max_pool3d.default,
    recalls="output",
    keeps_sign=always,
    zeros="its output's",
)
def max_pool(step: Step, x: Tensor, *arguments: Any) -> Passed:  # noqa: ANN401 - as in the graph
    """The winner takes all; the forward pass told where it stood."""
    relevance, indices = step.relevance[0], step.output[1]
    images, channels, *sizes = x.shape
    if indices.ndim == 4 and indices.is_contiguous(memory_format=torch.channels_last):
        relevance, indices = (side.permute(0, 2, 3, 1).flatten(1, 2) for side in (relevance, indices))
        places = relevance.new_zeros((images, x.shape[2:].numel(), channels))
        return (
            places.scatter_add_(1, indices, relevance).view(images, *sizes, channels).permute(0, 3, 1, 2),
        )
    places = relevance.new_zeros((images, channels, x.shape[2:].numel()))
    return (places.scatter_add_(2, indices.flatten(2), relevance.flatten(2)).view(x.shape),)


def shared(step: Step, x: Tensor, average: Map, back: Map) -> Passed:
    """In proportion to what each input counts in the average."""
    weight = step.sharing(x)
    return (weight * back(step.relevance / stabilise(average(weight))),)


@operator(aten.avg_pool2d.default, aten.avg_pool3d.default, **AVERAGE)
def avg_pool(
    step: Step,
    x: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Passed:
    """In every window the average is shared by what its inputs brought."""
    options = list(kernel_size), list(stride), list(padding), ceil_mode, count_include_pad, divisor_override
    average, back = {
        4: (aten.avg_pool2d, aten.avg_pool2d_backward),
        5: (aten.avg_pool3d, aten.avg_pool3d_backward),
    }[x.ndim]
    return shared(step, x, lambda weight: average(weight, *options), lambda share: back(share, x, *options))


@operator(aten.avg_pool1d.default, **AVERAGE)
def avg_pool1d(
    step: Step,
    x: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Passed:
    """Shared in every window, as an image of one row."""
    options = (
        [1, *kernel_size],
        [1, *stride][: 2 * len(stride)],
        [0, *padding],
        ceil_mode,
        count_include_pad,
        None,
    )
    return shared(
        step,
        x,
        lambda weight: aten.avg_pool2d(weight.unsqueeze(2), *options).squeeze(2),
        lambda share: aten.avg_pool2d_backward(share.unsqueeze(2), x.unsqueeze(2), *options).squeeze(2),
    )


@operator(
    aten.adaptive_avg_pool1d.default,
    aten.adaptive_avg_pool2d.default,
    aten._adaptive_avg_pool2d.default,
    aten.adaptive_avg_pool3d.default,
    aten._adaptive_avg_pool3d.default,
    **AVERAGE,
)
def adaptive_avg_pool(step: Step, x: Tensor, output_size: Sequence[int]) -> Passed:
    """In every window the average is shared by what its inputs brought."""
    average = (aten.adaptive_avg_pool1d, aten.adaptive_avg_pool2d, aten.adaptive_avg_pool3d)[x.ndim - 3]

    def back(share: Tensor) -> Tensor:
        for axis in range(2, x.ndim):
            windows = _windows(x.shape[axis], step.output.shape[axis], share)
            share = (share.movedim(axis, -1) @ windows).movedim(-1, axis)
        return share

    return shared(step, x, lambda weight: average(weight, output_size), back)


def _windows(inputs: int, outputs: int, like: Tensor) -> Tensor:
    """(outputs, inputs), what each input counts in the windows of an adaptive average along one axis."""
    place, window = (
        torch.arange(inputs, device=like.device),
        torch.arange(outputs, device=like.device)[:, None],
    )
    first, last = window * inputs // outputs, ((window + 1) * inputs - 1) // outputs
    return ((first <= place) & (place <= last)).to(like.dtype) / (last - first + 1)
