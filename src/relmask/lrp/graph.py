"""From a model to the graph that the compiler walks: exported, constants computed, batch norm folded."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, export
from torch.export.graph_signature import InputKind
from torch.fx import Graph, Node
from torch.utils import _pytree as pytree

from relmask.errors import UnsupportedModel, UsageError
from relmask.lrp.decompositions import decompositions
from relmask.lrp.module_paths import mark_outputs, module_outputs
from relmask.lrp.rewrites import (
    absorb_pads,
    compute_constants,
    drop_unused,
    fold_norms,
    keep_indices,
    known,
    loosen_views,
    name_gates,
    name_linear,
    spell_padding,
    understood,
)

OutputKey = int | str


@dataclass(frozen=True)
class SizeCheck:
    """For which images a graph is the model.

    Args:
        sizes: of the input's axes; None where a size is open.
        guards: conditions on open sizes, as Python on `L`, which maps `name` to the images.
        name: of the input.
    """

    sizes: tuple[int | None, ...]
    guards: tuple[str, ...]
    name: str
    _known: dict[torch.Size, bool] = field(default_factory=dict, compare=False)

    def __call__(self, images: Tensor) -> bool:
        """Is the graph the model for images of this size?"""
        if images.shape not in self._known:
            self._known[images.shape] = self._fits(images)
        return self._known[images.shape]

    def _fits(self, images: Tensor) -> bool:
        pairs = zip(self.sizes, images.shape, strict=False)
        right = len(self.sizes) == images.ndim and all(size in (None, actual) for size, actual in pairs)
        return right and all(self._holds(guard, images) for guard in self.guards)

    def _holds(self, guard: str, images: Tensor) -> bool:
        try:
            # torch.export wrote the guard while it traced the model; nothing that a user typed is in it.
            return bool(eval(guard, {"L": {self.name: images}}))
        except Exception:  # a guard that cannot be checked does not hold
            return False


@dataclass(frozen=True)
class Captured:
    """A model as a graph of ATen operators.

    Args:
        graph: nodes in the order in which they run.
        constants: nodes whose value does not depend on the image.
        image: the input (N, C, ...).
        logits: the output (N, K).
        outputs: of modules, by their paths; a module that ran again has `@1` behind it.
        fits: for images of which sizes.
        widest: elements of the largest tensor, per element of the images.
    """

    graph: Graph
    constants: Mapping[Node, Tensor]
    image: Node
    logits: Node
    outputs: Mapping[str, Node]
    fits: SizeCheck
    widest: float


def capture(
    model: nn.Module, example: Tensor, axes: tuple[int, ...], output: OutputKey | None = None
) -> Captured:
    """Export a model in evaluation mode and prepare its graph.

    Args:
        model: a copy that nobody else uses.
        example: (N, C, ...).
        axes: which axes of the example to leave open, as far as the model allows.
        output: which of several outputs, by its position or its key.

    Raises:
        UnsupportedModel: torch.export cannot trace it, or it does not return one tensor (N, K) or (N,).
        UsageError: no such output, or none chosen of several.
    """
    program = _export(model, example, axes)
    image = _image(program)
    graph, constants = program.graph, _constants(program)
    graph.output_node().args = ((_logits(program, image, output),),)
    mark_outputs(graph)
    compute_constants(graph, constants)
    spell_padding(graph)
    name_gates(graph)
    name_linear(graph, constants)
    fold_norms(graph, constants)
    absorb_pads(graph, constants)
    keep_indices(graph)
    loosen_views(graph)
    drop_unused(graph)
    # Guards are not public; without them only the example's own size is known to be right.
    guards: list[str] | None = getattr(program, "_guards_code", None)
    sizes = example.shape if guards is None else image.meta["val"].shape
    return Captured(
        graph,
        {node: value for node, value in constants.items() if node.users},
        image,
        graph.output_node().all_input_nodes[0],
        module_outputs(graph),
        SizeCheck(
            tuple(size if isinstance(size, int) else None for size in sizes),
            tuple(guards or ()),
            str(image.target),
        ),
        max(_elements(node) for node in graph.nodes if node not in constants) / _elements(image),
    )


def _elements(node: Node) -> int:
    """Number of elements of a node's value for the example; 0 if it is no tensor, or of unknown size."""
    value = node.meta.get("val")
    return math.prod(size or 0 for size in _shape(value)) if isinstance(value, Tensor) else 0


def _shape(value: Tensor) -> tuple[int | None, ...]:
    """The shape for the example; None where a size depends on values."""
    return tuple(size if isinstance(size, int) else size.node.hint for size in value.shape)


def _export(model: nn.Module, example: Tensor, axes: tuple[int, ...]) -> ExportedProgram:
    sizes = {axis: Dim.AUTO for axis in axes}
    advice = "Its forward must take images alone and must not branch on the values of tensors."
    try:
        with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, about its own internals
            program = export(model, (example.clone(),), dynamic_shapes=(sizes,) if sizes else None)
            if not understood(program.graph):
                advice = (
                    "It can be traced; what relmask puts in place of its compound operators does not fit it."
                )
                program = program.run_decompositions(dict(decompositions(known())))
    except Exception as error:  # whatever a model's own code can raise
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UnsupportedModel(
            f"torch.export cannot trace {type(model).__name__}: {lines[0]}\n{advice}"
        ) from error
    return program


def _image(program: ExportedProgram) -> Node:
    names = program.graph_signature.user_inputs
    if len(names) != 1:
        raise UnsupportedModel(
            f"The model must take one tensor of images; it takes {len(names)} inputs. "
            "Wrap it in a module that fixes the others."
        )
    image: Node = next(node for node in program.graph.nodes if node.name == names[0])
    return image


def _logits(program: ExportedProgram, image: Node, output: OutputKey | None) -> Node:
    """The chosen output (N, K); a single logit (N,) becomes (N, 1)."""
    returned = _returned(program)
    if output is not None:
        try:
            returned = returned[output]
        except (KeyError, IndexError, TypeError):
            reason = f"The model has no output {output!r}; it returns {_choices(returned)}."
            raise UsageError(reason) from None
    chosen: Any = returned
    value = chosen.meta.get("val") if isinstance(chosen, Node) else None
    images, found = _shape(image.meta["val"]), _shape(value) if isinstance(value, Tensor) else ()
    row_each = found[:1] in ((images[0],), (None,))
    if isinstance(value, Tensor) and value.ndim == 1 and row_each:
        with program.graph.inserting_before(program.graph.output_node()):
            column: Node = program.graph.call_function(torch.ops.aten.unsqueeze.default, (chosen, 1))
        column.meta = {**chosen.meta, "val": value.unsqueeze(1)}
        return column
    if not isinstance(value, Tensor) or value.ndim != 2 or not row_each or found[1] == 0:
        shapes = f"{found} for images of shape {images}"
        given = shapes if isinstance(value, Tensor) else _choices(returned)
        raise UnsupportedModel(f"The model must return logits (N, K); it returns {given}.")
    node: Node = chosen
    return node


def _returned(program: ExportedProgram) -> Any:  # noqa: ANN401 - as nested as the model returns it
    """What the model returns, with nodes in place of tensors."""
    nodes = {node.name: node for node in program.graph.nodes}
    leaves = [nodes.get(str(name), name) for name in program.graph_signature.user_outputs]
    return pytree.tree_unflatten(leaves, program.call_spec.out_spec)


def _choices(returned: Any) -> str:  # noqa: ANN401 - as nested as the model returns it
    if isinstance(returned, Mapping):
        return f"{len(returned)} outputs: choose output={' or '.join(map(repr, returned))}"
    if isinstance(returned, Sequence):
        return f"{len(returned)} outputs: choose output=0 to {len(returned) - 1}"
    return "one tensor" if isinstance(returned, Node) else f"{returned}"


def _constants(program: ExportedProgram) -> dict[Node, Tensor]:
    nodes = {node.name: node for node in program.graph.nodes}
    values = {**program.state_dict, **program.constants}
    return {
        nodes[spec.arg.name]: values[spec.target].detach()
        for spec in program.graph_signature.input_specs
        if spec.kind != InputKind.USER_INPUT and isinstance(values.get(spec.target or ""), Tensor)
    }
