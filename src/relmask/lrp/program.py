"""The compiled graph: one walk forwards that keeps what the way back needs, one walk back."""

import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Node

from relmask.errors import UnsupportedModel, UnsupportedOperator, UsageError
from relmask.lrp.affine import PLAIN, Affine, Layer
from relmask.lrp.composites import Composite, Place
from relmask.lrp.facts import SOFTMAX, Facts
from relmask.lrp.graph import Captured, is_tensor, path, tensor_inputs
from relmask.lrp.operators import LAYERS, OPERATORS, Outline, Step
from relmask.lrp.operators.table import sum_to
from relmask.lrp.rules import Ratio, Rule, Sharing


@dataclass
class Tape:
    """What the forward walk leaves for the way back."""

    values: dict[Node, Any] = field(default_factory=dict)
    outlines: dict[Node, Any] = field(default_factory=dict)
    affines: dict[Node, Affine] = field(default_factory=dict)


class Program(nn.Module):
    """A captured graph with a composite's rules, for images that the graph fits.

    Args:
        captured: the model.
        composite: rules for its layers.

    Raises:
        UnsupportedOperator: relevance would reach operators without a rule; all of them are named.
        UnsupportedModel: the model ends in softmax or sigmoid, or its output does not depend on the image.
        UsageError: the composite has no rule for some layers.
    """

    def __init__(self, captured: Captured, composite: Composite) -> None:
        super().__init__()
        facts = Facts(captured)
        _refuse(facts)
        self.captured = captured
        self.nodes = facts.nodes
        self.reached = facts.reached
        self.carries = {node: facts.carries(node) for node in self.nodes if node in self.reached}
        self.places = _places(facts)
        self.rules = _rules(self.places, composite)
        self.layers = nn.ModuleDict(
            {node.name: _layer(node, self.rules.get(node), self.rules, facts) for node in _layers(facts)}
        )
        self.names = {node: f"constant_{node.name}" for node in captured.constants}
        for node, name in self.names.items():
            used = any(user.name not in self.layers for user in node.users)
            self.register_buffer(name, captured.constants[node] if used else None, persistent=False)
        self.values_kept = {node for node in self.carries if self._needs_values(node)}
        self.done_forward, self.done_back = _last_uses(self.nodes, self.values_kept, captured.logits)

    def forward(self, images: Tensor) -> tuple[Tensor, Tape]:
        """Logits (N, K), and what the way back needs."""
        tape = Tape({node: getattr(self, name) for node, name in self.names.items()})
        tape.values[self.captured.image] = images
        tape.outlines[self.captured.image] = Outline(images.shape)
        for node in self.nodes:
            value = self._run(node, tape)
            tape.values[node] = value
            tape.outlines[node] = _outline(value)
            for finished in self.done_forward.get(node, ()):
                tape.values.pop(finished, None)
        return tape.values[self.captured.logits], tape

    def back(self, tape: Tape, start: Tensor) -> Tensor:
        """Relevance of the images, given that of the logits. Uses up the tape."""
        relevance: dict[Node, Any] = {self.captured.logits: start}
        for node in reversed(self.nodes):
            if node not in relevance:
                continue
            for source, part in self._passed(node, relevance.pop(node), tape):
                _accumulate(relevance, source, part)
            for finished in self.done_back.get(node, ()):
                tape.values.pop(finished, None)
        return relevance[self.captured.image]  # type: ignore[no-any-return]

    def _run(self, node: Node, tape: Tape) -> Any:  # noqa: ANN401 - a tensor, a list of them or a size
        if node.name not in self.layers:
            args, kwargs = torch.fx.map_arg((node.args, node.kwargs), tape.values.__getitem__)
            return node.target(*args, **kwargs)  # type: ignore[operator]
        pads = torch.fx.map_arg(node.kwargs.get("pads", ()), tape.values.__getitem__)
        affine = self.layers[node.name](tape.values[node.args[0]], pads)  # type: ignore[index]
        rule = self.rules.get(node)
        if not isinstance(rule, Rule):
            return affine.output((PLAIN,), keep=False)
        tape.affines[node] = affine
        return affine.output(rule.output, keep=set(rule.output) <= set(rule.parts))

    def _passed(self, node: Node, relevance: Any, tape: Tape) -> Iterable[tuple[Node, Any]]:  # noqa: ANN401
        """(source, its relevance) for each tensor input that relevance passes to."""
        rule = self.rules.get(node)
        if isinstance(rule, Rule):
            yield node.args[0], rule(tape.affines.pop(node), relevance)  # type: ignore[misc]
            return
        sources = tensor_inputs(node)
        if node.target is operator.getitem:
            yield sources[0], {node.args[1]: relevance}
            return
        carries = self.carries[node]
        if self._alone(node):
            yield from (
                (source, sum_to(relevance, tape.outlines[source]))
                for source, open_ in zip(sources, carries, strict=True)
                if open_
            )
            return
        known = node in self.values_kept

        def recall(source: Node) -> Any:  # noqa: ANN401
            kept = known or source not in tape.outlines or tape.outlines[source] is None
            return tape.values[source] if kept else tape.outlines[source]

        if isinstance(tape.outlines[node], list):
            relevance = tuple(relevance.get(i) for i in range(len(tape.outlines[node])))
        step = Step(relevance, recall(node), carries, rule or Ratio())
        args, kwargs = torch.fx.map_arg((node.args, node.kwargs), recall)
        parts = OPERATORS[node.target].passes(step, *args, **kwargs)  # type: ignore[index]
        for source, part, open_ in zip(sources, parts, carries, strict=True):
            if open_ and part is not None:
                yield source, part

    def _alone(self, node: Node) -> bool:
        known = OPERATORS.get(node.target)  # type: ignore[arg-type]
        return known is not None and known.alone and sum(self.carries[node]) == 1

    def _needs_values(self, node: Node) -> bool:
        known = OPERATORS.get(node.target)  # type: ignore[arg-type]
        return known is not None and known.values and not self._alone(node)


def _refuse(facts: Facts) -> None:
    """Say what cannot be explained, all at once."""
    last = facts.captured.logits
    while last.target not in SOFTMAX and (sources := tensor_inputs(last)) and last in facts.gates:
        if "sigmoid" in str(last.target):
            break
        last = sources[0]
    if last in facts.gates:
        raise UnsupportedModel(
            f"The model ends in {last.target} ({path(last) or 'in its own forward'}): LRP explains logits, not "
            "probabilities. Pass the model without that last step."
        )
    if facts.unsupported:
        places = "\n".join(f"  {path(node) or '(model)'}: {node.target}" for node in facts.unsupported)
        raise UnsupportedOperator(f"No rule for:\n{places}\nAdd them: docs/how-to/operator.md")
    if facts.captured.image not in facts.reached:
        raise UnsupportedModel(
            "The model's logits do not depend on the image in a way that relevance can follow."
        )


def _layers(facts: Facts) -> list[Node]:
    """Layers with a constant weight."""
    constants = facts.captured.constants
    return [
        node
        for node in facts.nodes
        if node.target in LAYERS and all(source in constants for source in tensor_inputs(node)[1:])
    ]


def _places(facts: Facts) -> dict[Node, Place]:
    found = {}
    for node in facts.nodes:
        known = LAYERS.get(node.target) or OPERATORS.get(node.target)  # type: ignore[arg-type]
        if node in facts.reached and known and known.kind:
            two = known.kind != "add" or sum(facts.carries(node)) > 1
            if two:
                found[node] = Place(path(node), str(node.target), known.kind, node in facts.first)
    return found


def _rules(places: Mapping[Node, Place], composite: Composite) -> dict[Node, Rule | Sharing]:
    rules = {node: composite.rule(place) for node, place in places.items()}
    if missing := [places[node] for node, rule in rules.items() if rule is None]:
        listed = "\n".join(f"  {place.path or '(model)'}: {place.operator}" for place in missing)
        raise UsageError(f"The composite {composite.name!r} has no rule for:\n{listed}")
    return {node: rule for node, rule in rules.items() if rule is not None}


def _layer(
    node: Node, rule: Rule | Sharing | None, rules: Mapping[Node, Rule | Sharing], facts: Facts
) -> Layer:
    constants = facts.captured.constants
    weight = constants[node.args[1]]  # type: ignore[index]
    offset = node.args[2] if len(node.args) > 2 else node.kwargs.get("bias")
    linear = LAYERS[node.target].linear(weight.ndim, *node.args[3:])  # type: ignore[index]
    parts = {PLAIN: None} if not isinstance(rule, Rule) else dict.fromkeys((*rule.output, *rule.parts))

    def keeps_zeros(layer: Node) -> bool:
        other = rules.get(layer)
        return isinstance(other, Rule) and other.keeps_zeros

    return Layer(
        linear,
        weight,
        constants[offset] if isinstance(offset, Node) else None,
        tuple(parts),
        halves=isinstance(rule, Rule) and rule.non_negative and node.args[0] not in facts.non_negative,
        silent=facts.silent(node, keeps_zeros),
    )


def _last_uses(
    nodes: list[Node], values_kept: set[Node], logits: Node
) -> tuple[dict[Node, list[Node]], dict[Node, list[Node]]]:
    """Which values are finished after a node ran forwards, and after relevance passed it."""
    needed_back: dict[Node, Node] = {}
    for node in reversed(nodes):
        if node in values_kept:
            needed_back.update(dict.fromkeys((node, *tensor_inputs(node)), node))
    last: dict[Node, Node] = {}
    for node in nodes:
        last.update(dict.fromkeys((node, *tensor_inputs(node)) if is_tensor(node) else (), node))
    forward: dict[Node, list[Node]] = {}
    back: dict[Node, list[Node]] = {}
    for value, user in last.items():
        if value in needed_back:
            back.setdefault(needed_back[value], []).append(value)
        elif value is not logits:
            forward.setdefault(user, []).append(value)
    return forward, back


def _outline(value: Any) -> Any:  # noqa: ANN401 - as deep as the value
    if isinstance(value, list | tuple):
        return [_outline(part) for part in value]
    return Outline(value.shape) if isinstance(value, Tensor) else None


def _accumulate(relevance: dict[Node, Any], source: Node, part: Any) -> None:  # noqa: ANN401
    """Add a part; several outputs of one node are kept apart."""
    if isinstance(part, dict):
        for index, value in part.items():
            outputs = relevance.setdefault(source, {})
            outputs[index] = outputs[index] + value if index in outputs else value
    else:
        relevance[source] = relevance[source] + part if source in relevance else part
