"""What is known of a graph before any image is seen: where relevance goes, which values have which sign."""

import operator
from collections.abc import Callable
from functools import cached_property

from torch.fx import Node

from relmask.lrp.graph import Captured
from relmask.lrp.operators import LAYERS, OPERATORS, holds_tensors, tensor_inputs


class Analysis:
    """Static analysis of a captured graph."""

    def __init__(self, captured: Captured) -> None:
        self.captured = captured
        self.nodes = [node for node in captured.graph.nodes if node.op == "call_function"]

    @cached_property
    def depends(self) -> set[Node]:
        """Tensors that depend on the image's values."""
        found = {self.captured.image}
        for node in self.nodes:
            if holds_tensors(node) and any(source in found for source in tensor_inputs(node)):
                found.add(node)
        return found

    @cached_property
    def gates(self) -> set[Node]:
        """Tensors that come through a softmax or a sigmoid, and met nothing but constants since."""
        found: set[Node] = set()
        for node in self.nodes:
            known = OPERATORS.get(node.target)
            if known and known.gates:
                found.add(node)
            elif known and known.zeros == "its output's":
                sources = [source for source in tensor_inputs(node) if source in self.depends]
                if sources and found.issuperset(sources):
                    found.add(node)
        return found & self.depends

    def carries(self, node: Node) -> tuple[bool, ...]:
        """For each tensor input of a node: does relevance pass to it?"""
        inputs = tensor_inputs(node)
        depends = [source in self.depends for source in inputs]
        known = OPERATORS.get(node.target)
        return tuple(
            known.carries(depends, [source in self.gates for source in inputs]) if known else depends
        )

    def alone(self, node: Node) -> bool:
        """Does the only input that relevance passes to get all of it?"""
        known = OPERATORS.get(node.target)
        return known is not None and known.alone and sum(self.carries(node)) == 1

    @cached_property
    def reached(self) -> set[Node]:
        """Nodes that relevance reaches."""
        found = {self.captured.logits}
        for node in reversed(self.nodes):
            if node in found:
                pairs = zip(tensor_inputs(node), self.carries(node), strict=True)
                found.update(source for source, carries in pairs if carries)
        return found & self.depends

    @cached_property
    def layers(self) -> list[Node]:
        """Convolutions and linear layers with constant weights, reached or not."""
        known = self.captured.constants
        return [
            node
            for node in self.nodes
            if node.target in LAYERS and all(source in known for source in tensor_inputs(node)[1:])
        ]

    @cached_property
    def unsupported(self) -> list[Node]:
        """Nodes that relevance reaches and that nothing is known about."""
        known = {node for node in self.nodes if node.target in OPERATORS or node.target is operator.getitem}
        return [node for node in self.nodes if node in self.reached - known - set(self.layers)]

    @cached_property
    def first(self) -> set[Node]:
        """Layers that relevance reaches with no other layer between them and the image."""
        behind: set[Node] = set()
        layers = set(self.layers)
        for node in self.nodes:
            sources = self.reached.intersection(tensor_inputs(node))
            if not sources.isdisjoint(behind | layers):
                behind.add(node)
        return (layers & self.reached) - behind

    @cached_property
    def non_negative(self) -> set[Node]:
        """Tensors without negative values, whatever the image."""
        found = {node for node, value in self.captured.constants.items() if not bool((value < 0).any())}
        for node in self.nodes:
            inputs = tensor_inputs(node)
            known = OPERATORS.get(node.target)
            kept = node.target is operator.getitem or (known is not None and known.keeps_sign(node))
            given = known is not None and known.positive(node)
            if given or (kept and inputs and found.issuperset(inputs)):
                found.add(node)
        return found

    def silent(self, layer: Node, keeps_zeros: Callable[[Node], bool]) -> bool:
        """Is a layer's relevance zero wherever its output is negative, since it is rectified next?

        Args:
            layer: the layer.
            keeps_zeros: whether the rule of another layer gives an input of zero no relevance.
        """
        users = self.reached.intersection(layer.users)
        rectified = all(node.target in OPERATORS and OPERATORS[node.target].rectifies(node) for node in users)
        return bool(users) and rectified and all(self._fades(node, keeps_zeros) for node in users)

    def _fades(self, node: Node, keeps_zeros: Callable[[Node], bool]) -> bool:
        """Is a node's relevance zero where its value is zero?"""
        users = self.reached.intersection(node.users)
        return node is not self.captured.logits and all(self._fades_by(user, keeps_zeros) for user in users)

    def _fades_by(self, user: Node, keeps_zeros: Callable[[Node], bool]) -> bool:
        if user.target in LAYERS:
            return keeps_zeros(user)
        known = OPERATORS.get(user.target)
        if known is not None and known.zeros == "no":
            return not self.alone(user)
        passed = known.zeros == "its output's" if known else user.target is operator.getitem
        return passed and self._fades(user, keeps_zeros)
