"""What can be known of a graph before any image is seen: where relevance goes, and which values have which sign."""

import operator
from collections.abc import Callable
from functools import cached_property

from torch.fx import Node

from relmask.lrp.graph import Captured, is_tensor, tensor_inputs
from relmask.lrp.operators import LAYERS, OPERATORS
from relmask.lrp.operators.table import aten

SOFTMAX = {aten.softmax.int, aten._softmax.default, aten.log_softmax.int, aten._log_softmax.default}


class Facts:
    """Static analysis of a captured graph."""

    def __init__(self, captured: Captured) -> None:
        self.captured = captured
        self.nodes = [node for node in captured.graph.nodes if node.op == "call_function"]

    @cached_property
    def depends(self) -> set[Node]:
        """Tensors that depend on the image's values."""
        found = {self.captured.image}
        for node in self.nodes:
            if is_tensor(node) and any(source in found for source in tensor_inputs(node)):
                found.add(node)
        return found

    @cached_property
    def gates(self) -> set[Node]:
        """Tensors that come through a softmax or a sigmoid, unmixed with anything but constants."""
        found: set[Node] = set()
        for node in self.nodes:
            known = OPERATORS.get(node.target)
            if node.target in SOFTMAX or (known and known.gates):
                found.add(node)
            elif known and known.zeros == "its output's":
                sources = [source for source in tensor_inputs(node) if source in self.depends]
                if sources and all(source in found for source in sources):
                    found.add(node)
        return found & self.depends

    def carries(self, node: Node) -> tuple[bool, ...]:
        """For each tensor input of a node: does relevance pass to it?"""
        inputs = tensor_inputs(node)
        depends = [source in self.depends for source in inputs]
        known = OPERATORS.get(node.target)
        return tuple(known.carries(node, inputs, depends, self.gates.__contains__) if known else depends)

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
    def unsupported(self) -> list[Node]:
        """Nodes that relevance reaches and that no rule is known for."""
        return [node for node in self.nodes if node in self.reached and not self._supported(node)]

    def _supported(self, node: Node) -> bool:
        if node.target in LAYERS:
            return not any(source in self.depends for source in tensor_inputs(node)[1:])
        return node.target in OPERATORS or node.target is operator.getitem

    @cached_property
    def non_negative(self) -> set[Node]:
        """Tensors without negative values, whatever the image."""
        found: set[Node] = {
            node for node, value in self.captured.constants.items() if not bool((value < 0).any())
        }
        for node in self.nodes:
            known = OPERATORS.get(node.target)
            inputs = tensor_inputs(node)
            if node.target is operator.getitem:
                holds = inputs[0] in found
            elif node.target in SOFTMAX:
                holds = "log" not in str(node.target)
            else:
                holds = bool(known) and (
                    known.positive(node) or (known.monotone and all(source in found for source in inputs))
                )
            if holds and is_tensor(node):
                found.add(node)
        return found

    @cached_property
    def first(self) -> set[Node]:
        """Layers that relevance reaches with no other layer between them and the image."""
        behind: set[Node] = set()
        for node in self.nodes:
            if node in self.reached and any(
                source in behind or source.target in LAYERS
                for source in tensor_inputs(node)
                if source in self.reached
            ):
                behind.add(node)
        return {node for node in self.nodes if node.target in LAYERS and node in self.reached - behind}

    def silent(self, node: Node, keeps_zeros: Callable[[Node], bool]) -> bool:
        """Is a layer's relevance zero wherever its output is negative, since it is rectified next?

        Args:
            node: the layer.
            keeps_zeros: whether the rule of another layer gives an input of zero no relevance.
        """
        users = [user for user in node.users if user in self.reached]
        return bool(users) and all(self._rectifies(user) and self._fades(user, keeps_zeros) for user in users)

    def _rectifies(self, node: Node) -> bool:
        known = OPERATORS.get(node.target)
        return bool(known) and known.rectifies(node)

    def _fades(self, node: Node, keeps_zeros: Callable[[Node], bool]) -> bool:
        """Is a node's relevance zero where its value is zero?"""
        if node is self.captured.logits:
            return False
        return all(self._fades_to(user, keeps_zeros) for user in node.users if user in self.reached)

    def _fades_to(self, user: Node, keeps_zeros: Callable[[Node], bool]) -> bool:
        if user.target in LAYERS:
            return keeps_zeros(user)
        known = OPERATORS.get(user.target)
        if known is None or user.target is operator.getitem:
            return user.target is operator.getitem and self._fades(user, keeps_zeros)
        return known.zeros == "no" or (known.zeros == "its output's" and self._fades(user, keeps_zeros))
