"""Sums, products and quotients.

With a constant on the other side relevance passes on unchanged, but for sums in which a composite lets
constants take their share.
"""

from collections.abc import Sequence

from torch import Tensor
from torch.fx import Node

from relmask.lrp.affine import stabilise
from relmask.lrp.operators.table import Passed, Step, aten, operator, sum_to


def _no_negative_number(node: Node) -> bool:
    numbers = [value for value in (*node.args, *node.kwargs.values()) if isinstance(value, int | float)]
    return all(number >= 0 for number in numbers)


@operator(
    aten.add.Tensor, recalls="inputs", kind="add", alone=True, keeps_sign=_no_negative_number, zeros="no"
)
def add(step: Step, a: Tensor, b: Tensor | float, *, alpha: float = 1) -> Passed:
    """Each summand takes its share, so `x + f(x)` conserves relevance."""
    return _shared(step, a, b * alpha)


@operator(aten.sub.Tensor, recalls="inputs", kind="add", alone=True, zeros="no")
def sub(step: Step, a: Tensor, b: Tensor | float, *, alpha: float = 1) -> Passed:
    """As the sum of a and -b."""
    return _shared(step, a, b * -alpha)


@operator(aten.rsub.Scalar, recalls="inputs", kind="add", alone=True, zeros="no")
def rsub(step: Step, x: Tensor, number: float, alpha: float = 1) -> Passed:
    """As the sum of -x and a number."""
    return _shared(step, x * -alpha, number)[:1]


def _shared(step: Step, a: Tensor, b: Tensor | float) -> Passed:
    b = b if isinstance(b, Tensor) else a.new_tensor(b)
    weights = step.sharing(a), step.sharing(b)
    share = step.relevance / stabilise(weights[0] + weights[1])
    return tuple(sum_to(weight * share, like) for weight, like in zip(weights, (a, b), strict=True))


def _gated(depends: Sequence[bool], gates: Sequence[bool]) -> Sequence[bool]:
    """All but gates; everything where there are only gates."""
    gated = [depending and not gate for depending, gate in zip(depends, gates, strict=True)]
    return gated if any(gated) else depends


@operator(
    aten.mul.Tensor,
    alone=True,
    keeps_sign=_no_negative_number,
    recalls="nothing",
    zeros="its output's",
    carries=_gated,
)
def mul(step: Step, a: Tensor, b: Tensor) -> Passed:
    """Half to each factor (AttnLRP, Achtibat et al. 2024); a gate passes nothing, the gated all."""
    return sum_to(step.relevance / 2, a), sum_to(step.relevance / 2, b)


def _numerator(depends: Sequence[bool], gates: Sequence[bool]) -> Sequence[bool]:
    """The first input, unless it is a constant."""
    return [True, *(False for _ in depends[1:])] if depends[0] else depends


@operator(
    aten.div.Tensor,
    alone=True,
    keeps_sign=_no_negative_number,
    recalls="nothing",
    zeros="its output's",
    carries=_numerator,
)
def div(step: Step, a: Tensor, b: Tensor) -> Passed:
    """All to the numerator: the denominator only scales it."""
    return sum_to(step.relevance, a), None
