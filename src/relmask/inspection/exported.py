"""A model that `torch.export.save` wrote, as far as `explain` needs one."""

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from relmask.data.reading import Intensity
from relmask.errors import RunError, UnsupportedModel
from relmask.models.bundle import Input, Metadata
from relmask.segmenter import Reader, Run, find_device, load

SUFFIX = ".pt2"
SIZE = 224


def open_model(path: Path | str, *, device: str = "auto") -> Run:
    """A run; a model in a file that `torch.export.save` wrote (.pt2) is one without thresholds.

    Such a model takes colour pictures (N, 3, S, S) from 0 to 1, whatever it does to them first; their number
    must be open. Its classes are named by their numbers.

    Args:
        path: of the folder or the file.
        device: "auto", "cpu", "cuda" or another that torch knows.

    Raises:
        RunError: not a run, not such a file, or damaged.
        UnsupportedModel: the model takes something else, or does not return logits (N, K).
        UsageError: no such device.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        return load(path, device=device)
    try:
        program = torch.export.load(path)
    except Exception as error:
        raise RunError(f"{path} is no model that torch.export.save wrote: {error}") from error
    spec = Input(
        size=_size(program),
        windows=False,
        mean=(0, 0, 0),
        std=(1, 1, 1),
        sigma=0,
        intensity=Intensity(),
    )
    metadata = Metadata(
        relmask="",
        architecture=None,
        classes=tuple(map(str, range(_classes(program)))),
        clean=None,
        input=spec,
        composite="relmask",
        calibration=None,
        split="given",
        data="",
        fingerprint="",
        settings={},
        command="",
    )
    model = copy.deepcopy(program.module())  # torch forbids eval() to the instance, not to a copy
    return Run(path, metadata, Reader(model, spec, metadata.composite, find_device(device)))


def _size(program: ExportedProgram) -> int:
    (shape,) = _shapes(program, program.graph_signature.user_inputs) or ((),)
    if len(shape) != 4 or shape[1] != 3:
        raise UnsupportedModel(f"The model must take one tensor of colour images (N, 3, S, S), not {shape}.")
    if isinstance(shape[0], int):
        raise UnsupportedModel(
            f"The model takes {shape[0]} images at once. Export it with their number open: "
            "torch.export.export(model, (images,), dynamic_shapes=({0: Dim.AUTO},)), with two images or more."
        )
    sides = {side if isinstance(side, int) else SIZE for side in shape[2:]}
    if len(sides) > 1:
        raise UnsupportedModel(f"The model must take square images, not {shape[2]} x {shape[3]}.")
    return sides.pop()


def _classes(program: ExportedProgram) -> int:
    (shape,) = _shapes(program, program.graph_signature.user_outputs) or ((),)
    if len(shape) != 2:
        raise UnsupportedModel(f"The model must return logits (N, K); it returns {shape}.")
    return int(shape[1])


def _shapes(program: ExportedProgram, names: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Of tensors by their names; a size that is open is no int. Empty where it is not just one tensor."""
    values = [node.meta.get("val") for node in program.graph.nodes if node.name in names]
    found = [tuple(value.shape) for value in values if isinstance(value, Tensor)]
    return found if len(found) == 1 else []
