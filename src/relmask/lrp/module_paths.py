"""Where a node comes from: its module, the line that called it, and which modules' output it is."""

import re
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.fx import Graph, Node

OUTPUTS = "relmask_outputs"
TORCH = Path(torch.__file__).parent
FRAME = re.compile(r'File "(.+)", line (\d+), in .*\n\s*(.*)')


def module_path(node: Node) -> str:
    """Path of the module that a node came from, as in `named_modules()`."""
    entries = list((node.meta.get("nn_module_stack") or {}).values())
    return str(entries[-1][0]) if entries else ""


def label(node: Node) -> str:
    """Module and operator, for messages."""
    return f"{module_path(node) or '(model)'}: {node.target}"


def source_line(node: Node) -> str:
    """File, line and text of the call that a node came from, outside torch; "" where it is not known."""
    frames = FRAME.findall(node.meta.get("stack_trace") or "")
    outside = [frame for frame in frames if not Path(frame[0]).is_relative_to(TORCH)]
    return "{}:{}: {}".format(*outside[-1]) if outside else ""


def mark_outputs(graph: Graph) -> None:
    """Note on each node of which modules it is the output, for `outputs` to find after rewrites."""
    last = {name: node for node in graph.nodes for name in _runs(node)}
    for name, node in last.items():
        node.meta[OUTPUTS] = (*node.meta.get(OUTPUTS, ()), name)


def _runs(node: Node) -> Iterator[str]:
    """The modules that a node lies in; `@1` is a module's second run."""
    if node.op == "call_function":
        for key, (module, _) in (node.meta.get("nn_module_stack") or {}).items():
            if module:
                yield module + "".join(str(key).partition("@")[1:])


def replace_node(old: Node, new: Node) -> None:
    """Put one node in another's place, as the output of the same modules too."""
    names = (*new.meta.get(OUTPUTS, ()), *old.meta.get(OUTPUTS, ()))
    new.meta[OUTPUTS] = tuple(dict.fromkeys(names))
    old.replace_all_uses_with(new)


def module_outputs(graph: Graph) -> dict[str, Node]:
    """Modules by their paths, and the node that is their output."""
    return {name: node for node in graph.nodes for name in node.meta.get(OUTPUTS, ())}
