"""Norms that look at each image: the composite says what passes, by default with the deviation held fixed."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.nn import functional

from relmask.lrp.operators.table import Outline, Passed, Step, aten, operator
from relmask.lrp.rules import Norm


@operator(aten.layer_norm.default, recalls="inputs", kind="norm")
def layer_norm(
    step: Step,
    x: Tensor,
    shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *arguments: Any,  # noqa: ANN401 - as in the graph
) -> Passed:
    """By the rule for norms, with means over the last axes."""
    axes = tuple(range(-len(shape), 0))

    def centre(values: Tensor) -> Tensor:
        return values - values.mean(axes, keepdim=True)

    deviation = (x.var(axes, correction=0, keepdim=True) + eps).sqrt()
    y = functional.layer_norm(x, list(shape), weight, bias, eps)
    return (step.norming(Norm(x, y, weight, deviation, centre), step.relevance),)


@operator(aten.group_norm.default, recalls="inputs", kind="norm")
def group_norm(
    step: Step,
    x: Tensor,
    groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *arguments: Any,  # noqa: ANN401 - as in the graph
) -> Passed:
    """By the rule for norms, with means over the channels of a group and all locations."""

    def means(values: Tensor) -> Tensor:
        """Mean of each group, as it meets x."""
        grouped = values.reshape(len(values), groups, -1)
        return grouped.mean(2, keepdim=True).expand_as(grouped).reshape(values.shape)

    def centre(values: Tensor) -> Tensor:
        return values - means(values)

    deviation = (means(centre(x).square()) + eps).sqrt()
    y = functional.group_norm(x, groups, weight, bias, eps)
    as_met = None if weight is None else weight.view(-1, *(1 for _ in x.shape[2:]))
    return (step.norming(Norm(x, y, as_met, deviation, centre), step.relevance),)


@operator(aten.instance_norm.default, recalls="inputs", kind="norm")
def instance_norm(
    step: Step,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    of_the_image: bool,
    momentum: float,
    eps: float,
    *arguments: Any,  # noqa: ANN401 - as in the graph
) -> Passed:
    """As group norm with a channel a group; by running statistics it is no norm, and passes all."""
    if not of_the_image:
        return (step.relevance,)
    return group_norm(step, x, x.shape[1], weight, bias, eps)


@operator(aten.rms_norm.default, recalls="nothing")
def rms_norm(step: Step, x: Outline, *arguments: Any) -> Passed:  # noqa: ANN401 - as in the graph
    """All relevance to x: with the root mean square held fixed, the norm is x times a constant."""
    return (step.relevance,)
