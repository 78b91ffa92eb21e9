"""Pooling and interpolation: the winner takes all of a maximum, an average is shared."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from relmask.lrp.affine import stabilise
from relmask.lrp.operators.table import Passed, Step, always, aten, operator

AVERAGE = {"recalls": "inputs", "kind": "average", "keeps_sign": always, "zeros": "no"}


@operator(
    aten.max_pool1d_with_indices.default,
    aten.max_pool2d_with_indices.default,
    aten.max_pool3d_with_indices.default,
    aten.adaptive_max_pool2d.default,
    recalls="output",
    keeps_sign=always,
    zeros="its output's",
)
def max_pool(step: Step, x: Tensor, *arguments: Any) -> Passed:  # noqa: ANN401 - as in the graph
    """The winner takes all; the forward pass told where it stood."""
    indices = step.output[1].flatten(2)
    places = step.relevance[0].new_zeros((*x.shape[:2], x.shape[2:].numel()))
    return (places.scatter_add_(2, indices, step.relevance[0].flatten(2)).view(x.shape),)


def _shared(
    step: Step, x: Tensor, average: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor]
) -> Passed:
    """In proportion to what each input counts in the average."""
    weight = step.sharing(x)
    return (weight * back(step.relevance / stabilise(average(weight))),)


@operator(aten.avg_pool2d.default, **AVERAGE)
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
    """Shared in every window."""
    options = list(kernel_size), list(stride), list(padding), ceil_mode, count_include_pad, divisor_override
    return _shared(
        step,
        x,
        lambda weight: aten.avg_pool2d(weight, *options),
        lambda share: aten.avg_pool2d_backward(share, x, *options),
    )


@operator(aten.adaptive_avg_pool2d.default, aten._adaptive_avg_pool2d.default, **AVERAGE)
def adaptive_avg_pool(step: Step, x: Tensor, output_size: Sequence[int]) -> Passed:
    """Shared in every window."""
    return _shared(
        step,
        x,
        lambda weight: aten.adaptive_avg_pool2d(weight, output_size),
        lambda share: aten._adaptive_avg_pool2d_backward(share.contiguous(), x),
    )


@operator(aten.upsample_bilinear2d.vec, **AVERAGE)
def upsample_bilinear(
    step: Step, x: Tensor, size: Sequence[int] | None, align_corners: bool, factors: Sequence[float] | None
) -> Passed:
    """Shared among the neighbours that were mixed."""
    output = list(step.output.shape[2:])
    return _shared(
        step,
        x,
        lambda weight: aten.upsample_bilinear2d.vec(weight, size, align_corners, factors),
        lambda share: aten.upsample_bilinear2d_backward(
            share, output, list(x.shape), align_corners, *(factors or (None, None))
        ),
    )
