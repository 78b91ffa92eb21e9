"""What is done to an exported graph before it is walked: each changes the graph, never what it computes."""

import operator
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.fx import Graph, Node

from relmask.lrp.module_paths import replace_node
from relmask.lrp.operators import LAYERS, OPERATORS, arguments, holds_tensors, tensor_inputs
from relmask.lrp.operators.activations import LOG_SOFTMAX
from relmask.lrp.operators.table import aten

Constants = dict[Node, Tensor]

NORMS = {aten._native_batch_norm_legit_no_training.default, aten.batch_norm.default}
NAMED_PADDING = {
    aten.conv1d.padding: aten.conv1d.default,
    aten.conv2d.padding: aten.conv2d.default,
    aten.conv3d.padding: aten.conv3d.default,
}
PADS = {aten.pad.default, aten.constant_pad_nd.default}
CAPS = {aten.relu6.default, aten.hardtanh.default, aten.clamp.default}
PRODUCTS = {aten.mm.default, aten.matmul.default, aten.addmm.default}
VIEWS = {aten.view.default, aten._unsafe_view.default}
POOLS = {
    aten.max_pool1d.default: aten.max_pool1d_with_indices.default,
    aten.max_pool2d.default: aten.max_pool2d_with_indices.default,
    aten.max_pool3d.default: aten.max_pool3d_with_indices.default,
}


def known() -> set[object]:
    """Operators that are in the tables or rewritten here."""
    return {*OPERATORS, *LAYERS, *NORMS, *POOLS, *PRODUCTS, *NAMED_PADDING, *LOG_SOFTMAX}


def understood(graph: Graph) -> bool:
    """Is every operator known as it is, and does none of them change its input?

    If not, torch.export can decompose the graph first, which takes it longer than exporting.
    """
    targets = known()
    nodes = [node for node in graph.nodes if isinstance(node.target, OpOverload) and holds_tensors(node)]
    return all(node.target in targets and not node.target._schema.is_mutable for node in nodes)


def loosen_views(graph: Graph) -> None:
    """Views become reshapes: images may come in any memory layout."""
    for node in graph.nodes:
        if node.target in VIEWS:
            node.target = aten.reshape.default


def compute_constants(graph: Graph, constants: Constants) -> None:
    """Run what depends on parameters alone, or on nothing, once."""
    for node in [node for node in graph.nodes if isinstance(node.target, OpOverload)]:
        random = torch.Tag.nondeterministic_seeded in node.target.tags
        if not random and constants.keys() >= set(node.all_input_nodes):
            args, kwargs = torch.fx.map_arg((node.args, node.kwargs), constants.__getitem__)
            value = node.target(*args, **kwargs)
            if isinstance(value, Tensor):
                with graph.inserting_before(node):
                    replace_node(node, _constant(graph, f"{node.name}_value", value, constants))


def fold_norms(graph: Graph, constants: Constants) -> None:
    """Fold batch norm into the convolution or linear layer before it, where nobody else uses that.

    Elsewhere it becomes a product with a constant and a sum with a constant.
    """
    for norm in [node for node in graph.nodes if node.target in NORMS]:
        options = arguments(norm)
        if options.get("training") or not constants.keys() >= set(tensor_inputs(norm)[1:]):
            continue  # statistics of the batch itself: refused when rules are chosen
        scale, shift = _scale_and_shift(options, constants)
        source = options["input"]
        if _foldable(source, constants):
            whole = _fold(graph, source, scale, shift, constants)
        else:
            whole = _elementwise(graph, source, norm, scale, shift, constants)
        for output in [norm] if norm.target == aten.batch_norm.default else list(norm.users):
            replace_node(output, whole)


def _scale_and_shift(norm: dict[str, Any], constants: Constants) -> tuple[Tensor, Tensor]:
    """What batch norm multiplies channels with and then adds, in float64."""
    mean, variance = (constants[norm[name]].double() for name in ("running_mean", "running_var"))
    scale = (variance + norm["eps"]).rsqrt()
    if norm["weight"] is not None:
        scale = scale * constants[norm["weight"]].double()
    shift = -mean * scale
    return scale, shift if norm["bias"] is None else shift + constants[norm["bias"]].double()


def _foldable(layer: Node, constants: Constants) -> bool:
    if layer.target not in LAYERS or len(layer.users) != 1:
        return False
    channels_last = LAYERS[layer.target].kind == "linear" and layer.meta["val"].ndim != 2
    return constants.keys() >= set(tensor_inputs(layer)[1:]) and not channels_last


def _fold(graph: Graph, layer: Node, scale: Tensor, shift: Tensor, constants: Constants) -> Node:
    """Weight and bias of layer and norm in one."""
    options = arguments(layer)
    weight = constants[options["weight"]]
    linear = LAYERS[layer.target].linear(weight.ndim, *list(options.values())[3:])
    folded = linear.scale(weight.double(), scale)
    bias = shift if options["bias"] is None else shift + constants[options["bias"]].double() * scale
    with graph.inserting_before(layer):
        names = (
            _constant(graph, f"{layer.name}_weight", folded.to(weight), constants),
            _constant(graph, f"{layer.name}_bias", bias.to(weight), constants),
        )
    layer.args = (layer.args[0], *names, *layer.args[3:])
    return layer


def _elementwise(
    graph: Graph, source: Node, norm: Node, scale: Tensor, shift: Tensor, constants: Constants
) -> Node:
    """The norm as x * scale + shift."""
    like = source.meta["val"]
    shape = (-1, *(1 for _ in like.shape[2:]))
    with graph.inserting_before(norm):
        factor = _constant(graph, f"{norm.name}_scale", scale.view(shape).to(like.dtype), constants)
        offset = _constant(graph, f"{norm.name}_shift", shift.view(shape).to(like.dtype), constants)
        scaled = graph.call_function(aten.mul.Tensor, (source, factor))
        shifted = graph.call_function(aten.add.Tensor, (scaled, offset))
    for node in (scaled, shifted):
        node.meta = {**norm.meta, "val": like}
    return shifted


def _constant(graph: Graph, name: str, value: Tensor, constants: Constants) -> Node:
    node = graph.create_node("get_attr", name)
    node.meta["val"] = constants[node] = value
    return node


def spell_padding(graph: Graph) -> None:
    """Convolutions with padding "same" or "valid" get it in numbers; "same" adds what is odd behind."""
    for layer in [node for node in graph.nodes if node.target in NAMED_PADDING]:
        options = arguments(layer)
        source, weight, bias, stride, padding, dilation, groups = options.values()
        sizes = weight.meta["val"].shape[2:]
        layer.target = NAMED_PADDING[layer.target]
        layer.args = (source, weight, bias, stride, [0] * len(sizes), dilation, groups)
        layer.kwargs = {}
        if padding == "same":
            each = list(dilation) * (len(sizes) // len(dilation))
            totals = [step * (size - 1) for step, size in zip(each, sizes, strict=True)]
            pads = [side for total in reversed(totals) for side in (total // 2, total - total // 2)]
            layer.kwargs = {"pads": pads}


def name_gates(graph: Graph) -> None:
    """relu6(x + 3) / 6, written out as in MobileNetV3, becomes the gate that it is: a hard sigmoid."""
    for node in [node for node in graph.nodes if node.target == aten.div.Tensor and node.args[1] == 6]:
        capped = node.args[0]
        if capped.target in CAPS and _limits(capped) == (0, 6):
            shifted = capped.args[0]
            if shifted.target == aten.add.Tensor and shifted.args[1] == 3 and not shifted.kwargs:
                node.target, node.args = aten.hardsigmoid.default, (shifted.args[0],)


def _limits(node: Node) -> tuple[Any, Any]:
    options = list(arguments(node).values())
    return (0, 6) if node.target == aten.relu6.default else (options[1], options[2])


def name_linear(graph: Graph, constants: Constants) -> None:
    """Products with a constant matrix become linear layers, which have rules."""
    for product in [node for node in graph.nodes if node.target in PRODUCTS]:
        *bias, x, matrix = product.args[:3]
        if matrix not in constants or x in constants or constants[matrix].ndim != 2:
            continue
        if product.kwargs or (bias and (bias[0] not in constants or constants[bias[0]].ndim != 1)):
            continue
        with graph.inserting_before(product):
            weight = _constant(graph, f"{product.name}_weight", constants[matrix].mT, constants)
        product.target = aten.linear.default
        product.args = (x, weight, *bias)


def absorb_pads(graph: Graph, constants: Constants) -> None:
    """Zero-padding before a convolution becomes its argument `pads`: no relevance goes to the border."""
    for layer in graph.nodes:
        if layer.target not in LAYERS or not LAYERS[layer.target].pads:
            continue
        pad = layer.args[0]
        constant = constants.keys() >= set(tensor_inputs(layer)[1:])
        if not constant or pad.target not in PADS or "pads" in layer.kwargs:
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
        replace_node(pool, first)


def drop_unused(graph: Graph) -> None:
    """Dead code, and torch.export's checks of types and sizes: nothing that stays has side effects."""
    for node in reversed(graph.nodes):
        if node.op in ("call_function", "get_attr") and not node.users:
            graph.erase_node(node)
