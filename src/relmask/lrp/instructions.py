"""The steps of a compiled graph: each runs once forwards, and passes relevance back once."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor, nn

from relmask.lrp.affine import PLAIN, Affine, Layer
from relmask.lrp.operators import Operator, Outline, Step, sum_to
from relmask.lrp.rules import Rule, Sharing


@dataclass(frozen=True)
class Ref:
    """In an argument: the value of the node with this name."""

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
    """One node."""

    @property
    def name(self) -> str:
        """The node's."""
        ...

    @property
    def reads(self) -> Iterable[str]:
        """The tensors that it needs to run."""
        ...

    @property
    def recalls(self) -> Iterable[str]:
        """The tensors whose values it needs on the way back; a layer keeps its own."""
        ...

    def run(self, tape: Tape) -> Any:  # noqa: ANN401
        """The node's value."""
        ...

    def back(self, tape: Tape, relevance: Any) -> Passing:  # noqa: ANN401
        """(source, its part of the node's relevance) for each input that relevance passes to."""
        ...


@dataclass(frozen=True)
class Call:
    """An operator from the table, or one that no relevance reaches.

    Args:
        name: the node's.
        target: what to call.
        args: with `Ref`s in place of nodes.
        kwargs: likewise.
        reads: tensor inputs in order.
        carries: which of them relevance passes to.
        operator: None where no relevance arrives.
        alone: one input gets everything.
        sharing: the composite's choice for sums and averages.
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

    @property
    def recalls(self) -> frozenset[str]:
        """The tensors whose values the way back needs."""
        if self.operator is None or self.alone:
            return frozenset()
        inputs = self.reads if self.operator.recalls in ("all", "inputs") else ()
        output = (self.name,) if self.operator.recalls in ("all", "output") else ()
        return frozenset((*inputs, *output))

    def run(self, tape: Tape) -> Any:  # noqa: ANN401
        """Call the operator."""
        return self.target(*_filled(self.args, tape.read), **_filled(self.kwargs, tape.read))

    def back(self, tape: Tape, relevance: Any) -> Passing:  # noqa: ANN401
        """Ask the table."""
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
        step = Step(relevance, recall(self.name), self.sharing, self.carries)
        parts = self.operator.passes(step, *_filled(self.args, recall), **_filled(self.kwargs, recall))
        for source, part, carries in zip(self.reads, parts, self.carries, strict=False):
            if carries and part is not None:
                yield source, part


@dataclass(frozen=True)
class Pick:
    """One of several outputs of a node."""

    name: str
    source: str
    index: int
    recalls = ()

    @property
    def reads(self) -> tuple[str]:
        """The node with several outputs."""
        return (self.source,)

    def run(self, tape: Tape) -> Any:  # noqa: ANN401
        """The output."""
        return tape.values[self.source][self.index]

    def back(self, tape: Tape, relevance: Any) -> Passing:  # noqa: ANN401
        """Marked with its index."""
        yield self.source, {self.index: relevance}


class Apply(nn.Module):
    """A convolution or linear layer; without a rule where no relevance arrives."""

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
        """W x + b."""
        affine = Affine(self.layer, tape.values[self.source], _filled(self.pads, tape.read))
        if self.rule is None:
            return affine.output((PLAIN,), keep=False)
        tape.affines[self.name] = affine
        return affine.output(self.rule.output, keep=set(self.rule.output) <= set(self.rule.parts))

    def back(self, tape: Tape, relevance: Any) -> Passing:  # noqa: ANN401
        """Ask the rule."""
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


def _outline(value: Any) -> Any:  # noqa: ANN401 - as deep as the value
    if isinstance(value, list | tuple):
        return tuple(_outline(part) for part in value)
    return Outline(value.shape) if isinstance(value, Tensor) else None
