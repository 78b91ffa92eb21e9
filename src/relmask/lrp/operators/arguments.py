"""Reading a node: its arguments by name, and the tensors among them."""

from typing import Any

import torch
from torch import Tensor
from torch.fx import Node


def arguments(node: Node) -> dict[str, Any]:
    """Arguments of an ATen node by their names in its schema, with defaults filled in."""
    schema: Any = getattr(node.target, "_schema")  # noqa: B009 - only ATen's operators have one
    names = [argument.name for argument in schema.arguments]
    given = dict(zip(names, node.args, strict=False)) | dict(node.kwargs)
    return {argument.name: argument.default_value for argument in schema.arguments} | given


def tensor_inputs(node: Node) -> list[Node]:
    """The tensors among a node's arguments, in order, as often as they occur."""
    found: list[Node] = []

    def visit(argument: Node) -> Node:
        if holds_tensors(argument):
            found.append(argument)
        return argument

    torch.fx.map_arg((node.args, node.kwargs), visit)
    return found


def holds_tensors(node: Node) -> bool:
    """Does a node give a tensor or several, rather than a size?"""
    return isinstance(node.meta.get("val"), Tensor | list | tuple)
