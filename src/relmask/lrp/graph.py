"""From a model to the graph that the compiler walks: exported, constants computed, batch norm folded."""

import operator
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export.graph_signature import InputKind
from torch.fx import Graph, Node

from relmask.errors import UnsupportedModel
from relmask.lrp.operators import LAYERS
from relmask.lrp.operators.table import aten

NORMS = {aten._native_batch_norm_legit_no_training.default, aten.batch_norm.default}
POOLS = {
    aten.max_pool1d.default: aten.max_pool1d_with_indices.default,
    aten.max_pool2d.default: aten.max_pool2d_with_indices.default,
    aten.max_pool3d.default: aten.max_pool3d_with_indices.default,
}
PADS = {aten.pad.default, aten.constant_pad_nd.default}


@dataclass(frozen=True)
class Captured:
    """A model as a graph of ATen operators.

    Args:
        graph: nodes in the order in which they run; one input, one output.
        constants: nodes whose value does not depend on the image.
        image: the input (N, C, ...).
        logits: the output (N, K).
        guards: conditions on the input's size under which the graph is the model, as Python on `L`.
        sizes: the input's size; None where any size fits.
    """

    graph: Graph
    constants: Mapping[Node, Tensor]
    image: Node
    logits: Node
    guards: tuple[str, ...]
    sizes: tuple[int | None, ...]

    def fits(self, images: Tensor) -> bool:
        """Is the graph the model for images of this size?"""
        if len(self.sizes) != images.ndim:
            return False
        pairs = zip(self.sizes, images.shape, strict=True)
        return all(size in (None, actual) for size, actual in pairs) and all(
            _holds(guard, str(self.image.target), images) for guard in self.guards
        )


def capture(model: nn.Module, example: Tensor, *, dynamic: bool) -> Captured:
    """Export a model in evaluation mode and prepare its graph.

    Args:
        model: must not need to stay as it is; use a copy.
        example: (N, C, ...) with N >= 2.
        dynamic: leave all sizes but the channels open, as far as the model allows.

    Raises:
        UnsupportedModel: torch.export cannot trace it, or it does not return one tensor (N, K).
    """
    program = _export(model, example, dynamic)
    signature = program.graph_signature
    if len(signature.user_inputs) != 1 or len(signature.user_outputs) != 1:
        raise UnsupportedModel(
            f"The model must take one tensor of images and return one tensor of logits (N, K); it takes "
            f"{len(signature.user_inputs)} and returns {len(signature.user_outputs)}. Wrap it in a module that does."
        )
    nodes = {node.name: node for node in program.graph.nodes}
    graph = program.graph
    image, logits = nodes[str(signature.user_inputs[0])], nodes[str(signature.user_outputs[0])]
    values = {**program.state_dict, **program.constants}
    constants = {
        nodes[spec.arg.name]: values[spec.target].detach()
        for spec in signature.input_specs
        if spec.kind != InputKind.USER_INPUT and spec.target is not None
    }
    if shape(logits) is None or len(shape(logits)) != 2:
        raise UnsupportedModel(f"The model must return logits (N, K), got shape {shape(logits)}.")
    graph.output_node().args = ((logits,),)
    _drop_assertions(graph)
    _compute_constants(graph, constants)
    _fold_norms(graph, constants)
    _absorb_pads(graph, constants)
    _keep_indices(graph)
    _drop_unused(graph)
    return Captured(
        graph,
        {node: value for node, value in constants.items() if node.users},
        image,
        logits,
        tuple(getattr(program, "_guards_code", None) or ()),
        tuple(size if isinstance(size, int) else None for size in image.meta["val"].shape),
    )


def shape(node: Node) -> tuple[Any, ...]:
    """Sizes of a node's tensor; () where it has none."""
    value = node.meta.get("val")
    return tuple(value.shape) if isinstance(value, Tensor) else ()


def is_tensor(node: Node) -> bool:
    """Does the node hold a tensor, or several?"""
    value = node.meta.get("val")
    return isinstance(value, Tensor | list | tuple)


def tensor_inputs(node: Node) -> list[Node]:
    """The tensors among a node's arguments, in order, as often as they occur."""
    found: list[Node] = []

    def visit(argument: Node) -> Node:
        if is_tensor(argument):
            found.append(argument)
        return argument

    torch.fx.map_arg((node.args, node.kwargs), visit)
    return found


def path(node: Node) -> str:
    """Path of the module that a node came from, as in `named_modules()`."""
    stack = node.meta.get("nn_module_stack") or {}
    entries = list(stack.values())
    return str(entries[-1][0]) if entries else ""


def _export(model: nn.Module, example: Tensor, dynamic: bool) -> torch.export.ExportedProgram:
    sizes = {axis: torch.export.Dim.AUTO for axis in range(example.ndim) if axis != 1} if dynamic else None
    try:
        with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, about its own internals
            program = torch.export.export(model, (example.clone(),), dynamic_shapes=(sizes,))
            return program.run_decompositions({})
    except Exception as error:  # whatever a model's own code can raise
        raise UnsupportedModel(
            f"torch.export cannot trace {type(model).__name__}: {error}\n"
            "Its forward must not branch on values of tensors, and must take images alone."
        ) from error


def _holds(guard: str, name: str, images: Tensor) -> bool:
    try:
        return bool(eval(guard, {"L": {name: images}}))
    except Exception:  # a guard that cannot be checked does not hold
        return False


def _drop_assertions(graph: Graph) -> None:
    """Checks of types and sizes that torch.export leaves in the graph: `Captured.fits` does that."""
    for node in reversed(graph.nodes):
        if node.op == "call_function" and "_assert" in str(node.target) and not node.users:
            graph.erase_node(node)


def _compute_constants(graph: Graph, constants: dict[Node, Tensor]) -> None:
    """Run what depends on parameters alone, once."""
    for node in graph.nodes:
        sources = node.all_input_nodes
        if node.op == "call_function" and sources and all(source in constants for source in sources):
            args, kwargs = torch.fx.map_arg((node.args, node.kwargs), constants.__getitem__)
            value = node.target(*args, **kwargs)
            if isinstance(value, Tensor):
                constants[node] = value


def _fold_norms(graph: Graph, constants: dict[Node, Tensor]) -> None:
    """Fold batch norm into the convolution or linear layer before it, where nobody else uses that."""
    for node in graph.nodes:
        if node.target not in NORMS or not _foldable(node, constants):
            continue
        layer = node.args[0]
        weight, bias = _folded(layer, node, constants)
        with graph.inserting_before(layer):
            names = (
                _constant(graph, f"{layer.name}_weight", weight),
                _constant(graph, f"{layer.name}_bias", bias),
            )
        constants.update(zip(names, (weight, bias), strict=True))
        layer.args = (layer.args[0], *names, *layer.args[3:])
        outputs = [node] if node.target == aten.batch_norm.default else list(node.users)
        for output in outputs:
            output.replace_all_uses_with(layer)


def _foldable(norm: Node, constants: Mapping[Node, Tensor]) -> bool:
    layer = norm.args[0]
    if not isinstance(layer, Node) or layer.target not in LAYERS or len(layer.users) != 1:
        return False
    known = [source in constants for source in layer.all_input_nodes[1:]]
    alone = norm.target == aten.batch_norm.default or all(
        user.target is operator.getitem and user.args[1] == 0 for user in norm.users
    )
    channels_last = LAYERS[layer.target].kind == "linear" and len(shape(layer)) != 2
    return all(known) and alone and not channels_last


def _folded(layer: Node, norm: Node, constants: Mapping[Node, Tensor]) -> tuple[Tensor, Tensor]:
    """Weight and bias of layer and norm in one, computed in float64."""
    weight = constants[layer.args[1]]  # type: ignore[index]
    bias = layer.args[2] if len(layer.args) > 2 else layer.kwargs.get("bias")
    gamma, beta, mean, variance = (constants.get(source) for source in norm.args[1:5])  # type: ignore[arg-type]
    epsilon = norm.args[7] if norm.target == aten.batch_norm.default else norm.args[6]
    assert mean is not None and variance is not None
    scale = (variance.double() + epsilon).rsqrt()
    scale = scale if gamma is None else scale * gamma.double()
    offset = -mean.double() if bias is None else constants[bias].double() - mean.double()  # type: ignore[index]
    shifted = offset * scale if beta is None else offset * scale + beta.double()
    spread = scale.view(-1, *(1 for _ in weight.shape[1:]))
    return (weight.double() * spread).to(weight), shifted.to(weight)


def _constant(graph: Graph, name: str, value: Tensor) -> Node:
    node = graph.create_node("get_attr", name)
    node.meta["val"] = value
    return node


def _keep_indices(graph: Graph) -> None:
    """Max-pooling that also says where the maximum stood, so that it is not searched again."""
    for node in graph.nodes:
        if node.target in POOLS:
            with graph.inserting_after(node):
                first = graph.call_function(operator.getitem, (node, 0))
            node.replace_all_uses_with(first, delete_user_cb=lambda user, first=first: user is not first)
            node.target = POOLS[node.target]
            first.meta = dict(node.meta)
            node.meta["val"] = [first.meta["val"]] * 2


def _absorb_pads(graph: Graph, constants: Mapping[Node, Tensor]) -> None:
    """Zero-padding before a convolution becomes an option of it, so that no relevance goes to the border."""
    for node in graph.nodes:
        before = node.args[0] if node.target in LAYERS and LAYERS[node.target].kind == "convolution" else None
        if not isinstance(before, Node) or before.target not in PADS or node.args[1] not in constants:
            continue
        widths, *mode = before.args[1:]
        spatial = 2 * (len(shape(node)) - 2)
        zero = all(option in ("constant", None, 0) for option in (*mode, *before.kwargs.values()))
        if zero and len(widths) <= spatial and all(not isinstance(w, int) or w >= 0 for w in widths):
            node.args = (before.args[0], *node.args[1:])
            node.kwargs = {**node.kwargs, "pads": [*widths, *[0] * (spatial - len(widths))]}


def _drop_unused(graph: Graph) -> None:
    """Dead code: nothing here has side effects."""
    for node in reversed(graph.nodes):
        if node.op in ("call_function", "get_attr") and not node.users:
            graph.erase_node(node)
