"""What is done to an exported graph before it is walked: each changes the graph, never what it computes."""

import operator
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, Node

from relmask.lrp.operators import LAYERS, arguments, tensor_inputs
from relmask.lrp.operators.table import aten

Constants = dict[Node, Tensor]

NORMS = {aten._native_batch_norm_legit_no_training.default, aten.batch_norm.default}
PADS = {aten.pad.default, aten.constant_pad_nd.default}
POOLS = {
    aten.max_pool1d.default: aten.max_pool1d_with_indices.default,
    aten.max_pool2d.default: aten.max_pool2d_with_indices.default,
    aten.max_pool3d.default: aten.max_pool3d_with_indices.default,
}


def compute_constants(graph: Graph, constants: Constants) -> None:
    """Run what depends on parameters alone, once."""
    for node in graph.nodes:
        sources = node.all_input_nodes
        if node.op == "call_function" and sources and all(source in constants for source in sources):
            args, kwargs = torch.fx.map_arg((node.args, node.kwargs), constants.__getitem__)
            value = node.target(*args, **kwargs)
            if isinstance(value, Tensor):
                constants[node] = value


def fold_norms(graph: Graph, constants: Constants) -> None:
    """Fold batch norm into the convolution or linear layer before it, where nobody else uses that."""
    for norm in [node for node in graph.nodes if node.target in NORMS]:
        layer = norm.args[0]
        if not _foldable(layer, norm, constants):
            continue
        weight, bias = _folded(arguments(layer), arguments(norm), constants)
        with graph.inserting_before(layer):
            names = [graph.create_node("get_attr", f"{layer.name}_{part}") for part in ("weight", "bias")]
        for name, value in zip(names, (weight, bias), strict=True):
            name.meta["val"] = constants[name] = value
        layer.args = (layer.args[0], *names, *layer.args[3:])
        for output in list(norm.users) if norm.target != aten.batch_norm.default else [norm]:
            output.replace_all_uses_with(layer)


def _foldable(layer: Any, norm: Node, constants: Constants) -> bool:  # noqa: ANN401 - whatever the graph holds
    if not isinstance(layer, Node) or layer.target not in LAYERS or len(layer.users) != 1:
        return False
    known = all(source in constants for source in (*tensor_inputs(layer)[1:], *tensor_inputs(norm)[1:]))
    picked = all(user.target is operator.getitem and user.args[1] == 0 for user in norm.users)
    channels_last = LAYERS[layer.target].kind == "linear" and layer.meta["val"].ndim != 2
    return known and (picked or norm.target == aten.batch_norm.default) and not channels_last


def _folded(layer: dict[str, Any], norm: dict[str, Any], constants: Constants) -> tuple[Tensor, Tensor]:
    """Weight and bias of layer and norm in one, computed in float64."""
    weight = constants[layer["weight"]]

    def double(node: Node | None, default: float) -> Tensor:
        return weight.new_tensor(default).double() if node is None else constants[node].double()

    scale = double(norm["weight"], 1) * (double(norm["running_var"], 1) + norm["eps"]).rsqrt()
    bias = (double(layer["bias"], 0) - double(norm["running_mean"], 0)) * scale + double(norm["bias"], 0)
    spread = scale.view(-1, *(1 for _ in weight.shape[1:]))
    return (weight.double() * spread).to(weight), bias.to(weight)


def absorb_pads(graph: Graph, constants: Constants) -> None:
    """Zero-padding before a convolution becomes its argument `pads`: no relevance goes to the border."""
    for layer in graph.nodes:
        if layer.target not in LAYERS or LAYERS[layer.target].kind != "convolution":
            continue
        pad = layer.args[0]
        if not all(source in constants for source in tensor_inputs(layer)[1:]) or pad.target not in PADS:
            continue
        options = arguments(pad)
        widths, spatial = options["pad"], 2 * (layer.meta["val"].ndim - 2)
        zero = options.get("mode", "constant") == "constant" and not options["value"]
        if (
            zero
            and len(widths) <= spatial
            and all(not isinstance(width, int) or width >= 0 for width in widths)
        ):
            layer.args = (options["self"], *layer.args[1:])
            layer.kwargs = {**layer.kwargs, "pads": [*widths, *[0] * (spatial - len(widths))]}


def keep_indices(graph: Graph) -> None:
    """Max-pooling that also says where the maximum stood, so that it is not searched again."""
    for pool in [node for node in graph.nodes if node.target in POOLS]:
        with graph.inserting_after(pool):
            indexed = graph.call_function(POOLS[pool.target], pool.args, pool.kwargs)
        with graph.inserting_after(indexed):
            first = graph.call_function(operator.getitem, (indexed, 0))
        indexed.meta = {**pool.meta, "val": (pool.meta["val"], pool.meta["val"])}
        first.meta = dict(pool.meta)
        pool.replace_all_uses_with(first)


def drop_unused(graph: Graph) -> None:
    """Dead code, and torch.export's checks of types and sizes: nothing that stays has side effects."""
    for node in reversed(graph.nodes):
        if node.op in ("call_function", "get_attr") and not node.users:
            graph.erase_node(node)
