"""The table of operators, and what an operator may know."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.fx import Node

from relmask.lrp.rules import Ratio, Sharing

aten = torch.ops.aten


@dataclass(frozen=True)
class Outline:
    """The shape of a tensor whose values are no longer kept."""

    shape: torch.Size


@dataclass(frozen=True)
class Step:
    """One node on the way back.

    Args:
        relevance: of the output; one per output, or None, where an operator has several.
        output: of the forward pass; an `Outline` unless the operator needs values.
        carries: for each tensor input in order, whether relevance goes there.
        sharing: the composite's rule for sums and averages.
    """

    relevance: Any
    output: Any
    carries: tuple[bool, ...]
    sharing: Sharing = Ratio()


Passed = Sequence[Tensor | None]
Passes = Callable[..., Passed]
Question = Callable[[Node], bool]


class Carriers(Protocol):
    """Which tensor inputs relevance passes to, of those that depend on the image."""

    def __call__(
        self, node: Node, inputs: Sequence[Node], depends: Sequence[bool], gate: Question
    ) -> Sequence[bool]:
        """One answer per tensor input; `gate` tells whether a node comes through a softmax or a sigmoid."""
        ...


def everything(node: Node, inputs: Sequence[Node], depends: Sequence[bool], gate: Question) -> Sequence[bool]:
    """All inputs that depend on the image."""
    return depends


@dataclass(frozen=True)
class Operator:
    """What the compiler knows of an operator.

    Args:
        passes: `(step, *arguments)`, ATen's arguments in ATen's order, to a relevance or None per tensor input.
        values: it needs the values of inputs and output, not only their shapes.
        kind: "add" or "average" where a composite chooses how it shares.
        alone: a single input that carries relevance gets all of it, and `passes` is not asked.
        positive: the output is never negative, given the node.
        monotone: the output is never negative where no input is.
        rectifies: the output is zero where the input is not positive, given the node.
        zeros: an input of zero gets "no" relevance, "its output's", which is zero too, or "some".
        gates: the output is a gate: a weight in 0..1 that only scales what it multiplies.
        carries: which inputs relevance passes to.
    """

    passes: Passes
    values: bool = True
    kind: str | None = None
    alone: bool = False
    positive: Question = lambda node: False
    monotone: bool = False
    rectifies: Question = lambda node: False
    zeros: str = "some"
    gates: bool = False
    carries: Carriers = everything


OPERATORS: dict[OpOverload, Operator] = {}

Function = TypeVar("Function", bound=Passes)


def operator(*overloads: OpOverload, **facts: Any) -> Callable[[Function], Function]:  # noqa: ANN401 - Operator's fields
    """Enter a function into the table, for each of the overloads; `facts` are the fields of `Operator`."""

    def enter(passes: Function) -> Function:
        OPERATORS.update({overload: Operator(passes, **facts) for overload in overloads})
        return passes

    return enter


def always(node: Node) -> bool:
    """For facts that hold whatever the arguments."""
    return True


def sum_to(relevance: Tensor, like: Tensor | Outline) -> Tensor:
    """Relevance summed over the axes along which an input was broadcast."""
    return relevance.sum_to_size(like.shape) if relevance.shape != like.shape else relevance
