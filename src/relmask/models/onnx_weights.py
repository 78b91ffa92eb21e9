"""Weights of a DINOv2 out of an ONNX file that torch exported from Hugging Face's module."""

import torch
from torch import Tensor

from relmask.errors import RunError

BACKBONE = "backbone."
POSITIONS = "embeddings.position_embeddings"


def state_of(content: bytes) -> dict[str, Tensor]:
    """Tensors (float32) by the names of Hugging Face's `Dinov2Model`; heads and decoders are left out.

    torch's exporter keeps the names of most parameters. Two kinds come without: the weight of a linear layer,
    which it transposes and which is named here by the product that reads it, and the positions, which it
    splits into those of the class token and of the patches.

    Raises:
        RunError: the package onnx is not installed, or the content is no such model.
    """
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError:
        raise RunError(
            "The weights lie in an ONNX file, which takes a package to read: pip install 'relmask[weights]'"
        ) from None
    try:
        graph = onnx.load_model_from_string(content).graph
    except Exception as error:  # protobuf's own
        raise RunError("The ONNX file in the wheel cannot be read: it is damaged.") from error
    values = {part.name: torch.tensor(numpy_helper.to_array(part)) for part in graph.initializer}
    found = {name: value for name, value in values.items() if "::" not in name}
    positions: list[Tensor] = []
    for node in graph.node:
        anonymous = [values[name] for name in node.input if name in values and name not in found]
        path = node.name.strip("/").replace("/", ".")
        if node.op_type == "MatMul" and anonymous:
            found[f"{path.removesuffix('.MatMul')}.weight"] = anonymous[0].T.contiguous()
        elif path.startswith(f"{BACKBONE}embeddings."):
            positions += [value for value in anonymous if value.ndim == 3]
    if len(positions) != 2:
        raise RunError("The ONNX file in the wheel holds no DINOv2.")
    found[BACKBONE + POSITIONS] = torch.cat(sorted(positions, key=lambda part: part.shape[1]), dim=1)
    return {name.removeprefix(BACKBONE): value for name, value in found.items() if name.startswith(BACKBONE)}
