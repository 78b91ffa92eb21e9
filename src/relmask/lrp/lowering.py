"""From an analysed graph and a composite to the instructions of a program."""

import operator
from collections.abc import Mapping
from typing import Any

from torch.fx import Node

from relmask.errors import UnsupportedModel, UnsupportedOperator, UsageError
from relmask.lrp.affine import PLAIN, Layer
from relmask.lrp.analysis import Analysis
from relmask.lrp.composites import SHIFT, AnyRule, Composite, Place
from relmask.lrp.instructions import ApplyLayer, CallOperator, Instruction, PickOutput, Ref
from relmask.lrp.module_paths import label, module_path, source_line
from relmask.lrp.operators import LAYERS, OPERATORS, arguments, tensor_inputs
from relmask.lrp.operators.activations import LOG_SOFTMAX
from relmask.lrp.rules import FixedDeviation, Norming, Ratio, Rule, Sharing

WEIGHTS = " (its weights are computed, and relmask could not compute them beforehand)"
Rules = Mapping[Node, AnyRule]


def choose_rules(analysis: Analysis, composite: Composite) -> Rules:
    """The rule of every node that has one.

    Raises:
        UnsupportedOperator: relevance would reach operators without a rule; all of them are named.
        UnsupportedModel: the model ends in softmax or sigmoid, or relevance cannot reach the image.
        UsageError: the composite has no rule for some layers.
    """
    _refuse(analysis)
    rules = {node: composite.rule(place) for node, place in _places(analysis).items()}
    if missing := [node for node, rule in rules.items() if rule is None]:
        listed = "\n".join(f"  {label(node)}" for node in missing)
        raise UsageError(f"The composite {composite.name!r} has no rule for:\n{listed}")
    return {node: rule for node, rule in rules.items() if rule is not None}


def instructions(analysis: Analysis, rules: Rules) -> tuple[Instruction, ...]:
    """What a program runs, in order: one instruction for each node."""
    layers = set(analysis.layers)
    made: list[Instruction] = []
    for node in analysis.nodes:
        if node in layers:
            made.append(_apply_layer(node, rules, analysis))
        elif node.target is operator.getitem and tensor_inputs(node):
            source, index = node.args
            made.append(PickOutput(node.name, source.name, index))
        else:
            made.append(_call_operator(node, rules, analysis))
    return tuple(made)


def table_rows(analysis: Analysis, rules: Rules) -> dict[str, tuple[str, str, str]]:
    """(layer, operator, rule) of every instruction by its name; "" where there is no rule to choose."""
    return {
        node.name: (
            module_path(node) or "(model)",
            str(node.target),
            str(rules[node]) if node in rules else "",
        )
        for node in analysis.nodes
    }


def _refuse(analysis: Analysis) -> None:
    """Say what cannot be explained, all at once."""
    if (end := _last_gate(analysis)) is not None:
        raise UnsupportedModel(
            f"The model ends in probabilities ({label(end)}), and LRP explains logits: softmax and "
            "sigmoid saturate, and softmax mixes the classes. Pass the model without that last step."
        )
    if norms := [label(node) for node in analysis.nodes if _mixes_images(node, analysis)]:
        raise UnsupportedModel(
            f"Batch norm that normalises by the batch itself ({', '.join(norms)}) lets images depend on each "
            "other, so that no image has an explanation of its own. Use running statistics "
            "(track_running_stats=True), or group or instance norm."
        )
    if analysis.unsupported:
        places = "\n".join(
            f"  {label(node)}{WEIGHTS if node.target in LAYERS else ''}\n    {source_line(node)}".rstrip()
            for node in analysis.unsupported
        )
        raise UnsupportedOperator(
            f"No rule for:\n{places}\nAdd them with relmask.lrp.register: docs/how-to/operator.md"
        )
    if analysis.captured.image not in analysis.reached:
        raise UnsupportedModel(
            "The logits do not depend on the image, or only through gates that get no relevance."
        )


def _mixes_images(node: Node, analysis: Analysis) -> bool:
    """Is a node a batch norm of what depends on the images, by statistics of the batch?"""
    is_norm = "batch_norm" in str(node.target) and node in analysis.depends
    return is_norm and bool(arguments(node).get("training"))


def _last_gate(analysis: Analysis) -> Node | None:
    """The softmax or sigmoid that the logits come from with nothing but constants in between."""
    node = analysis.captured.logits
    while node in analysis.gates and node.target in OPERATORS and not OPERATORS[node.target].gates:
        node = analysis.gates.intersection(tensor_inputs(node)).pop()
    return node if node in analysis.gates or node.target in LOG_SOFTMAX else None


def _places(analysis: Analysis) -> dict[Node, Place]:
    """Nodes that a composite chooses a rule for."""
    found = {}
    for node in analysis.nodes:
        known = LAYERS.get(node.target) or OPERATORS.get(node.target)
        if node in analysis.reached and known and known.kind:
            kind = SHIFT if analysis.alone(node) else known.kind
            found[node] = Place(module_path(node), str(node.target), kind, node in analysis.first)
    return found


def _apply_layer(node: Node, rules: Rules, analysis: Analysis) -> ApplyLayer:
    constants, options = analysis.captured.constants, arguments(node)
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
        tuple(dict.fromkeys((*rule.output_parts, *rule.parts))) if rule else (PLAIN,),
        signed=rule is not None and rule.non_negative and source not in analysis.non_negative,
        silent=rule is not None and analysis.silent(node, keeps_zeros),
        bias_shares=rule is None or rule.bias_shares,
    )
    return ApplyLayer(node.name, source.name, tuple(_refs(list(pads))), layer, rule)


def _call_operator(node: Node, rules: Rules, analysis: Analysis) -> CallOperator:
    target: Any = node.target
    rule = rules.get(node)
    return CallOperator(
        node.name,
        target,
        tuple(_refs(list(node.args))),
        _refs(dict(node.kwargs)),
        tuple(source.name for source in tensor_inputs(node)),
        analysis.carries(node),
        OPERATORS.get(target) if node in analysis.reached else None,
        analysis.alone(node) and not isinstance(rule, Sharing),
        rule if isinstance(rule, Sharing) else Ratio(),
        rule if isinstance(rule, Norming) else FixedDeviation(),
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
