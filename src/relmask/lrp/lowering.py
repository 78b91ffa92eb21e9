"""From a captured graph and a composite to the steps of a program."""

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch.fx import Node

from relmask.errors import UnsupportedModel, UnsupportedOperator, UsageError
from relmask.lrp.affine import PLAIN, Layer
from relmask.lrp.analysis import Facts
from relmask.lrp.composites import Composite, Place
from relmask.lrp.instructions import Apply, Call, Instruction, Pick, Ref
from relmask.lrp.module_paths import line, path, place
from relmask.lrp.operators import LAYERS, OPERATORS, arguments, tensor_inputs
from relmask.lrp.operators.activations import LOG_SOFTMAX
from relmask.lrp.rules import Ratio, Rule, Sharing

Chosen = Mapping[Node, Rule | Sharing]


@dataclass(frozen=True)
class Plan:
    """What a program does.

    Args:
        steps: in the order in which they run.
        known: (layer, operator, rule) of every step, "" where there is no rule to choose.
    """

    steps: tuple[Instruction, ...]
    known: Mapping[str, tuple[str, str, str]]


def plan(facts: Facts, composite: Composite) -> Plan:
    """Choose a rule for every node and make the steps.

    Raises:
        UnsupportedOperator: relevance would reach operators without a rule; all of them are named.
        UnsupportedModel: the model ends in softmax or sigmoid, or relevance cannot reach the image.
        UsageError: the composite has no rule for some layers.
    """
    _refuse(facts)
    places = _places(facts)
    rules = _choose(places, composite)
    layers = set(facts.layers)
    steps: list[Instruction] = []
    for node in facts.nodes:
        if node in layers:
            steps.append(_apply(node, rules, facts))
        elif node.target is operator.getitem and tensor_inputs(node):
            source, index = node.args
            steps.append(Pick(node.name, source.name, index))
        else:
            steps.append(_call(node, rules, facts))
    known = {node.name: _row(node, rules.get(node)) for node in facts.nodes}
    return Plan(tuple(steps), known)


def _row(node: Node, rule: Rule | Sharing | None) -> tuple[str, str, str]:
    return path(node) or "(model)", str(node.target), "" if rule is None else str(rule)


def _refuse(facts: Facts) -> None:
    """Say what cannot be explained, all at once."""
    if (end := _last_gate(facts)) is not None:
        raise UnsupportedModel(
            f"The model ends in probabilities ({place(end)}), and LRP explains logits: softmax and "
            "sigmoid saturate, and softmax mixes the classes. Pass the model without that last step."
        )
    if facts.unsupported:
        places = "\n".join(f"  {place(node)}\n    {line(node)}".rstrip() for node in facts.unsupported)
        raise UnsupportedOperator(
            f"No rule for:\n{places}\nAdd them with relmask.lrp.register: docs/how-to/operator.md"
        )
    if facts.captured.image not in facts.reached:
        raise UnsupportedModel(
            "The logits do not depend on the image, or only through gates that get no relevance."
        )


def _last_gate(facts: Facts) -> Node | None:
    """The softmax or sigmoid that the logits come from with nothing but constants in between."""
    node = facts.captured.logits
    while node in facts.gates and node.target in OPERATORS and not OPERATORS[node.target].gates:
        node = facts.gates.intersection(tensor_inputs(node)).pop()
    return node if node in facts.gates or node.target in LOG_SOFTMAX else None


def _places(facts: Facts) -> dict[Node, Place]:
    """Nodes that a composite chooses a rule for."""
    found = {}
    for node in facts.nodes:
        known = LAYERS.get(node.target) or OPERATORS.get(node.target)
        if node in facts.reached and known and known.kind and not facts.alone(node):
            found[node] = Place(path(node), str(node.target), known.kind, node in facts.first)
    return found


def _choose(places: Mapping[Node, Place], composite: Composite) -> Chosen:
    rules = {node: composite.rule(where) for node, where in places.items()}
    if missing := [node for node, rule in rules.items() if rule is None]:
        listed = "\n".join(f"  {place(node)}" for node in missing)
        raise UsageError(f"The composite {composite.name!r} has no rule for:\n{listed}")
    return {node: rule for node, rule in rules.items() if rule is not None}


def _apply(node: Node, rules: Chosen, facts: Facts) -> Apply:
    constants, options = facts.captured.constants, arguments(node)
    pads = options.pop("pads", ())
    source, weight, bias, *rest = options.values()
    rule = rules.get(node)
    assert rule is None or isinstance(rule, Rule)

    def keeps_zeros(layer: Node) -> bool:
        other = rules.get(layer)
        return isinstance(other, Rule) and other.keeps_zeros

    layer = Layer(
        LAYERS[node.target].linear(constants[weight].ndim, *rest),
        constants[weight],
        None if bias is None else constants[bias],
        tuple(dict.fromkeys((*rule.output, *rule.parts))) if rule else (PLAIN,),
        halves=rule is not None and rule.non_negative and source not in facts.non_negative,
        silent=rule is not None and facts.silent(node, keeps_zeros),
        bias_shares=rule is None or rule.bias_shares,
    )
    return Apply(node.name, source.name, tuple(_refs(list(pads))), layer, rule)


def _call(node: Node, rules: Chosen, facts: Facts) -> Call:
    target: Any = node.target
    sharing = rules.get(node, Ratio())
    assert isinstance(sharing, Sharing)
    return Call(
        node.name,
        target,
        tuple(_refs(list(node.args))),
        _refs(dict(node.kwargs)),
        tuple(source.name for source in tensor_inputs(node)),
        facts.carries(node),
        OPERATORS.get(target) if node in facts.reached else None,
        facts.alone(node),
        sharing,
    )


def _refs(argument: Any) -> Any:  # noqa: ANN401 - as deep as arguments go
    """An argument with `Ref`s in place of nodes, and plain lists in place of fx's own."""
    if isinstance(argument, Node):
        return Ref(argument.name)
    if isinstance(argument, list):
        return [_refs(part) for part in argument]
    if isinstance(argument, tuple):
        return tuple(_refs(part) for part in argument)
    if isinstance(argument, Mapping):
        return {name: _refs(part) for name, part in argument.items()}
    return argument
