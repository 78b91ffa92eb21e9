"""Interpolation: what arrives at a mixture is shared among the neighbours that were mixed."""

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor

from relmask.lrp.operators.pooling import AVERAGE, shared
from relmask.lrp.operators.table import Outline, Passed, Step, always, aten, operator

NEAREST = {
    aten.upsample_nearest1d.vec: aten.upsample_nearest1d_backward,
    aten.upsample_nearest2d.vec: aten.upsample_nearest2d_backward,
    aten.upsample_nearest3d.vec: aten.upsample_nearest3d_backward,
    aten._upsample_nearest_exact1d.vec: aten._upsample_nearest_exact1d_backward,
    aten._upsample_nearest_exact2d.vec: aten._upsample_nearest_exact2d_backward,
    aten._upsample_nearest_exact3d.vec: aten._upsample_nearest_exact3d_backward,
}
MIXED = {
    aten.upsample_linear1d.vec: aten.upsample_linear1d_backward,
    aten.upsample_bilinear2d.vec: aten.upsample_bilinear2d_backward,
    aten.upsample_trilinear3d.vec: aten.upsample_trilinear3d_backward,
    aten.upsample_bicubic2d.vec: aten.upsample_bicubic2d_backward,
    aten._upsample_bilinear2d_aa.vec: aten._upsample_bilinear2d_aa_backward,
}
Factors = Sequence[float] | None


def _each(factors: Factors, x: Tensor | Outline) -> Sequence[float | None]:
    """One factor per axis; None where the size was given instead."""
    return factors or [None] * (len(x.shape) - 2)


def _nearest(
    back: Callable[..., Tensor],
    step: Step,
    x: Outline,
    size: Sequence[int] | None,
    factors: Factors = None,
) -> Passed:
    """A value takes what arrives at all its copies."""
    return (back(step.relevance, list(step.output.shape[2:]), list(x.shape), *_each(factors, x)),)


def _mixed(
    resize: Callable[..., Tensor],
    back: Callable[..., Tensor],
    step: Step,
    x: Tensor,
    size: Sequence[int] | None,
    align_corners: bool,
    factors: Factors = None,
) -> Passed:
    """In proportion to what each neighbour counts."""
    output = list(step.output.shape[2:])
    return shared(
        step,
        x,
        lambda weight: resize(weight, size, align_corners, factors),
        lambda share: back(share, output, list(x.shape), align_corners, *_each(factors, x)),
    )


for resize, back in NEAREST.items():
    operator(resize, recalls="nothing", keeps_sign=always, zeros="its output's")(partial(_nearest, back))
for resize, back in MIXED.items():
    # The weights of a cubic may be negative.
    cubic = {"keeps_sign": lambda node: False} if resize is aten.upsample_bicubic2d.vec else {}
    operator(resize, **AVERAGE | cubic)(partial(_mixed, resize, back))
