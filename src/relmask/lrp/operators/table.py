"""The table of operators, and what an operator may know."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.fx import Node

from relmask.errors import UsageError
from relmask.lrp.rules import Norming, Sharing

aten = torch.ops.aten


@dataclass(frozen=True)
class Outline:
    """The shape of a tensor whose values are no longer kept."""

    shape: torch.Size


@dataclass(frozen=True)
class Step:
    """One node on the way back.

    Args:
        relevance: of the output; a tuple with one per output, or None, where an operator has several.
        output: of the forward pass; an `Outline` unless the operator needs values.
        sharing: the composite's rule for sums and averages.
        carries: for each tensor input, whether relevance passes to it: not to constants, not to gates.
        norming: the composite's rule for norms.
    """

    relevance: Any
    output: Any
    sharing: Sharing
    carries: tuple[bool, ...]
    norming: Norming


Recalls = Literal["all", "inputs", "output", "nothing"]
Passed = Sequence[Tensor | None]
Passes = Callable[..., Passed]
Question = Callable[[Node], bool]
Carriers = Callable[[Sequence[bool], Sequence[bool]], Sequence[bool]]


def never(node: Node) -> bool:
    """For facts that hold for no arguments."""
    return False


def always(node: Node) -> bool:
    """For facts that hold whatever the arguments."""
    return True


def everything(depends: Sequence[bool], gates: Sequence[bool]) -> Sequence[bool]:
    """Relevance passes to all inputs that depend on the image."""
    return depends


@dataclass(frozen=True)
class Operator:
    """What the compiler knows of an operator.

    Args:
        passes: `(step, *arguments)`, arguments as ATen orders them, to a relevance or None per tensor input;
            what is left out at the end is None.
        recalls: what it needs the values of; of all else it gets outlines.
        kind: "add", "average" or "norm" where a composite chooses a rule.
        alone: a single input that relevance passes to gets all of it, and `passes` is not asked.
        carries: which inputs relevance passes to, given which depend on the image and which are gates.
        gates: the output is a gate: a weight in 0..1 that only scales what it multiplies.
        positive: the output is never negative, given the node.
        keeps_sign: the output is never negative where no input is, given the node.
        rectifies: the output is zero where the input is not positive, given the node.
        zeros: an input of zero gets "no" relevance, "its output's", which is zero too, or "some".
    """

    passes: Passes
    recalls: Recalls = "all"
    kind: str | None = None
    alone: bool = False
    carries: Carriers = everything
    gates: bool = False
    positive: Question = never
    keeps_sign: Question = never
    rectifies: Question = never
    zeros: Literal["no", "its output's", "some"] = "some"


OPERATORS: dict[object, Operator] = {}

Function = TypeVar("Function", bound=Passes)


def operator(*overloads: object, **facts: Any) -> Callable[[Function], Function]:  # noqa: ANN401 - Operator's fields
    """Enter a function into the table: how relevance passes an operator. What is known already is replaced.

    Args:
        overloads: operators as they stand in exported graphs, like `torch.ops.aten.erf.default`.
        facts: the fields of `Operator` but for the function itself.

    Raises:
        UsageError: not an overload of an operator.
    """
    for overload in overloads:
        if not isinstance(overload, OpOverload):
            raise UsageError(f"{overload} is no overload of an operator, as torch.ops.aten.erf.default is.")

    def enter(passes: Function) -> Function:
        OPERATORS.update({overload: Operator(passes, **facts) for overload in overloads})
        return passes

    return enter


def sum_to(relevance: Tensor, like: Tensor | Outline) -> Tensor:
    """Relevance summed over the axes along which an input was broadcast."""
    return relevance.sum_to_size(like.shape) if relevance.shape != like.shape else relevance
