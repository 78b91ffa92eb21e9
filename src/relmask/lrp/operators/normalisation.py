"""Norms that look at each image: their statistics are taken as they are, so relevance passes unchanged.

With mean and variance held fixed a norm is x / constant, and all of y_i's relevance belongs to x_i: the
identity rule of AttnLRP (Achtibat et al. 2024, proposition 3.4). Weight and bias take nothing, as in a batch
norm that nothing can absorb.
"""

from typing import Any

from torch import Tensor

from relmask.lrp.operators.table import Passed, Step, aten, operator


@operator(aten.layer_norm.default, aten.rms_norm.default, recalls="nothing")
def layer_norm(step: Step, x: Tensor, shape: Any, *arguments: Any) -> Passed:  # noqa: ANN401 - as in the graph
    """All relevance to x; weight and bias take nothing."""
    return (step.relevance,)


@operator(aten.group_norm.default, aten.instance_norm.default, recalls="nothing")
def group_norm(step: Step, x: Tensor, *arguments: Any) -> Passed:  # noqa: ANN401 - as in the graph
    """All relevance to x; weight and bias take nothing."""
    return (step.relevance,)
