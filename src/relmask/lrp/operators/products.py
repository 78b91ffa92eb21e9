"""Products of two tensors that both depend on the image, and softmax between them: attention (AttnLRP)."""

from typing import Any

import torch
from torch import Tensor

from relmask.lrp.affine import stabilise
from relmask.lrp.operators.table import Passed, Step, always, aten, operator, sum_to


@operator(aten.matmul.default, aten.mm.default, aten.bmm.default, zeros="no")
def matmul(step: Step, a: Tensor, b: Tensor) -> Passed:
    """In proportion to a_ij b_jk, half to each factor (Achtibat et al. 2024, eq. 15); constants get none."""
    share = step.relevance / (stabilise(step.output) * sum(step.carries))
    left, right = (a if a.ndim > 1 else a[None]), (b if b.ndim > 1 else b[:, None])
    share = share if a.ndim > 1 else share.unsqueeze(-2)
    share = share if b.ndim > 1 else share.unsqueeze(-1)
    parts = sum_to(left * (share @ right.mT), left), sum_to(right * (left.mT @ share), right)
    return parts[0].view(a.shape), parts[1].view(b.shape)


@operator(aten.softmax.int, aten._softmax.default, gates=True, positive=always)
def softmax(step: Step, x: Tensor, dim: int, *arguments: Any) -> Passed:  # noqa: ANN401 - as in the graph
    """x_i (R_i - y_i sum R), the linear part of y at x (Achtibat et al. 2024, eq. 13).

    It does not conserve relevance: what the exponential's constant term brought belongs to no input. An input
    that a mask set to -inf gets nothing.
    """
    passed = step.relevance - step.output * step.relevance.sum(dim, keepdim=True)
    return (torch.where(x.isinf(), 0, x) * passed,)
