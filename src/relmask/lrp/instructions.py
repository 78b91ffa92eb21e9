"""The instructions of a program: each runs once forwards, and passes relevance back once."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch._ops import OpOverload

from relmask.errors import UnsupportedOperator
from relmask.lrp.affine import PLAIN, Affine, Layer
from relmask.lrp.operators import OPERATORS, Operator, Outline, Step, sum_to
from relmask.lrp.rules import Norming, Rule, Sharing


@dataclass(frozen=True)
class Ref:
    """Stands in an argument for the value of the node with this name."""

    name: str


@dataclass
class Tape:
    """What the forward walk leaves for the way back.

    Args:
        values: of nodes, as long as somebody needs them.
        outlines: shapes of all tensors, kept after their values.
        affines: layers as they met their input.
    """

    values: dict[str, Any]
    outlines: dict[str, Any] = field(default_factory=dict)
    affines: dict[str, Affine] = field(default_factory=dict)

    def write(self, name: str, value: Any) -> None:  # noqa: ANN401 - a tensor, several, or a size
        """Note a node's value."""
        self.values[name] = value
        self.outlines[name] = _outline(value)

    def read(self, name: str, *, outlined: bool = False) -> Any:  # noqa: ANN401
        """A node's value; in its place the outline, where there is one and that is enough."""
        return (outlined and self.outlines.get(name)) or self.values[name]


Passing = Iterator[tuple[str, Any]]


class Instruction(Protocol):
    """What a program does for one node of the graph."""

    @property
    def name(self) -> str:
        """Name of the node, under which the tape keeps its value."""
        ...

    @property
    def reads(self) -> Iterable[str]:
        """Names of the tensors that `run` needs."""
        ...

    @property
    def recalls(self) -> Iterable[str]:
        """Names of the tensors whose values `back` needs; a layer keeps its input itself."""
        ...

    def run(self, tape: Tape) -> Any:  # noqa: ANN401
        """Compute the node's value: a tensor, several, or a size."""
        ...

    def back(self, tape: Tape, relevance: Any) -> Passing:  # noqa: ANN401
        """(source, its part of the node's relevance) for each input that relevance passes to."""
        ...


@dataclass(frozen=True)
class CallOperator:
    """An operator from the table, or one that no relevance reaches.

    Args:
        name: of the node.
        target: what to call, an ATen operator or Python's arithmetic on sizes.
        args: with `Ref`s in place of nodes.
        kwargs: likewise.
        reads: tensor inputs in order.
        carries: which of them relevance passes to.
        operator: entry of the table; None where no relevance arrives.
        alone: whether one input gets all relevance, so that the table is not asked.
        sharing: the composite's choice for sums and averages.
        norming: its choice for norms.
    """

    name: str
    target: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    reads: tuple[str, ...]
    carries: tuple[bool, ...]
    operator: Operator | None
    alone: bool
    sharing: Sharing
    norming: Norming

    @property
    def recalls(self) -> frozenset[str]:
        """Names of the tensors whose values the operator asks for; it gets outlines of the others."""
        if self.operator is None or self.alone:
            return frozenset()
        inputs = self.reads if self.operator.recalls in ("all", "inputs") else ()
        output = (self.name,) if self.operator.recalls in ("all", "output") else ()
        return frozenset((*inputs, *output))

    def __getstate__(self) -> dict[str, Any]:
        """Operators and the functions of the table cannot be pickled: the operator's name stands for both."""
        target = str(self.target) if isinstance(self.target, OpOverload) else self.target
        return {**vars(self), "target": target, "operator": self.operator is not None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        target = _overload(state["target"]) if isinstance(state["target"], str) else state["target"]
        if state["operator"] and target not in OPERATORS:
            raise UnsupportedOperator(
                f"The explainer was made with a rule for {target}. Add it with relmask.lrp.register before "
                "loading the explainer: docs/how-to/operator.md"
            )
        operator = OPERATORS[target] if state["operator"] else None
        vars(self).update(state, target=target, operator=operator)

    def __deepcopy__(self, memo: dict[int, Any]) -> "CallOperator":
        return self  # nothing in it ever changes, and the table may have since

    def run(self, tape: Tape) -> Any:  # noqa: ANN401
        """Call the ATen operator with the values that its arguments refer to."""
        return self.target(*_filled(self.args, tape.read), **_filled(self.kwargs, tape.read))

    def back(self, tape: Tape, relevance: Any) -> Passing:  # noqa: ANN401
        """Pass relevance as the table of operators says, or all of it to the only input that takes some."""
        assert self.operator is not None
        if self.alone:
            source = self.reads[self.carries.index(True)]
            yield source, sum_to(relevance, tape.outlines[source])
            return

        recalls = self.recalls

        def recall(name: str) -> Any:  # noqa: ANN401
            return tape.read(name, outlined=name not in recalls)

        outline = tape.outlines[self.name]
        if isinstance(outline, tuple):
            relevance = tuple(relevance.get(index) for index in range(len(outline)))
        step = Step(relevance, recall(self.name), self.sharing, self.carries, self.norming)
        parts = self.operator.passes(step, *_filled(self.args, recall), **_filled(self.kwargs, recall))
        for source, part, carries in zip(self.reads, parts, self.carries, strict=False):
            if carries and part is not None:
                yield source, part


@dataclass(frozen=True)
class PickOutput:
    """Takes one of several outputs of a node."""

    name: str
    source: str
    index: int
    recalls = ()

    @property
    def reads(self) -> tuple[str]:
        """Name of the node with several outputs."""
        return (self.source,)

    def run(self, tape: Tape) -> Any:  # noqa: ANN401
        """Take the output with this index."""
        return tape.values[self.source][self.index]

    def back(self, tape: Tape, relevance: Any) -> Passing:  # noqa: ANN401
        """Relevance of this output alone, marked with its index, for the source collects that of all."""
        yield self.source, {self.index: relevance}


class ApplyLayer(nn.Module):
    """Runs a convolution or linear layer, and asks its rule on the way back.

    Args:
        name: of the node.
        source: name of its input.
        pads: zeros around the input, as F.pad counts them, with `Ref`s in place of sizes.
        layer: weights, in the parts that the rule uses.
        rule: None where no relevance arrives.
    """

    def __init__(
        self, name: str, source: str, pads: tuple[Any, ...], layer: Layer, rule: Rule | None
    ) -> None:
        super().__init__()
        self.name = name
        self.source = source
        self.pads = pads
        self.layer = layer
        self.rule = rule
        self.reads = (source,)
        self.recalls = ()

    def run(self, tape: Tape) -> Tensor:
        """W x + b; keeps what the rule needs of it on the tape."""
        affine = Affine(self.layer, tape.values[self.source], _filled(self.pads, tape.read))
        if self.rule is None:
            return affine.output((PLAIN,), keep=False)
        tape.affines[self.name] = affine
        return affine.output(self.rule.output_parts, keep=set(self.rule.output_parts) <= set(self.rule.parts))

    def back(self, tape: Tape, relevance: Any) -> Passing:  # noqa: ANN401
        """The rule's share for the input; the layer is taken off the tape."""
        assert self.rule is not None
        yield self.source, self.rule(tape.affines.pop(self.name), relevance)


def _filled(argument: Any, read: Callable[[str], Any]) -> Any:  # noqa: ANN401 - as deep as arguments go
    """An argument with values in place of `Ref`s."""
    if isinstance(argument, Ref):
        return read(argument.name)
    if isinstance(argument, list | tuple):
        return type(argument)(_filled(part, read) for part in argument)
    if isinstance(argument, Mapping):
        return {name: _filled(part, read) for name, part in argument.items()}
    return argument


def _overload(name: str) -> OpOverload:
    """The operator with this name, like "aten.add.Tensor"."""
    found: Any = torch.ops
    for part in name.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, OpOverload):
        raise UnsupportedOperator(
            f"The explainer calls the operator {name}, which torch does not have here. Import the package "
            "that defines the operator before loading the explainer."
        )
    return found


def _outline(value: Any) -> Any:  # noqa: ANN401 - as deep as the value
    if isinstance(value, list | tuple):
        return tuple(_outline(part) for part in value)
    return Outline(value.shape) if isinstance(value, Tensor) else None
