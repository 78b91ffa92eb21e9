"""The public edge: what a model and images must be. Checked here, once, so that no other file has to."""

import copy
import itertools
import warnings

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from relmask.errors import UnsupportedModel, UsageError

IMAGES = "Images are one dense tensor of floats (N, C, ...), normalised as the model was trained"


def copied(model: nn.Module) -> nn.Module:
    """A copy of a model, in evaluation mode, that nobody else uses.

    Raises:
        UsageError: not a module, or one with parameters that have no values yet.
        UnsupportedModel: a module that cannot be copied.
    """
    if not isinstance(model, nn.Module):
        raise UsageError(f"The model must be an instance of torch.nn.Module, got {_described(model)}.")
    if isinstance(model, torch.jit.ScriptModule):
        raise UnsupportedModel(
            "TorchScript cannot be traced by torch.export. Pass the module that it was made from."
        )
    for name, value in itertools.chain(model.named_parameters(), model.named_buffers()):
        if is_lazy(value) or value.is_meta:
            raise UsageError(
                f"{name} of {type(model).__name__} has no values yet. Load the weights of a model on the "
                "device 'meta'; run a model with lazy modules once."
            )
    try:
        return copy.deepcopy(model).eval().requires_grad_(False)
    except Exception as error:  # whatever a model's own code can raise
        raise UnsupportedModel(
            f"{type(model).__name__} cannot be copied with copy.deepcopy, and relmask works on a copy: "
            f"{_first_line(error)}"
        ) from error


def batch(images: Tensor) -> Tensor:
    """Images, if they are a batch of the right kind, whatever their values.

    Raises:
        UsageError: not a dense tensor of floats with two axes or more, none of them empty but the first.
    """
    if not isinstance(images, Tensor):
        raise UsageError(f"{IMAGES}; got {_described(images)}.{_advice(images)}")
    if images.is_nested or images.layout is not torch.strided or images.is_meta:
        raise UsageError(f"{IMAGES}; got a tensor that is sparse, nested or on the device 'meta'.")
    if not images.is_floating_point():
        raise UsageError(
            f"{IMAGES}; got {images.dtype}. Bring integers to floats by their largest value, as in "
            "images.float() / 255, then normalise them."
        )
    if images.ndim < 2 or 0 in images.shape[1:]:
        raise UsageError(f"{IMAGES}; got a tensor of shape {tuple(images.shape)}.")
    return images


def batch_like(images: Tensor, like: Tensor) -> Tensor:
    """Images of an explainer, as floats of its own kind.

    Args:
        images: (N, C, ...), floats of any kind.
        like: of the explainer's kind of floats, where the explainer is.

    Raises:
        UsageError: as `batch`; images on another device, or with values that are not finite.
    """
    if batch(images).device != like.device:
        raise UsageError(
            f"The images are on {images.device}, the explainer on {like.device}. Move one with .to()."
        )
    images = images.to(like.dtype)
    if not bool(images.isfinite().all()):
        finite = images.flatten(1).isfinite().all(1).tolist()
        wrong = [index for index, right in enumerate(finite) if not right]
        raise UsageError(
            f"Images must be finite; NaN or infinite values (as {images.dtype}) are in {len(wrong)} of "
            f"{len(images)} images, first in image {wrong[0]}."
        )
    return images


def run_once(model: nn.Module, images: Tensor) -> None:
    """Let the model run: what it says of images that do not fit is clearer than what an export says.

    Raises:
        UsageError: the model cannot run on images of this shape.
    """
    eager = torch.compiler.set_stance("force_eager")  # nothing is compiled for one run
    with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings(), eager:
        warnings.simplefilter("ignore")
        for some in (images[:1], images):  # one image tells, unless the model fixes their number
            try:
                model(some.clone())
            except Exception as error:  # whatever a model's own code can raise
                failed = error
            else:
                return
    raise UsageError(
        f"{type(model).__name__} cannot run on images of shape {tuple(images.shape)}: {_first_line(failed)}\n"
        "It must take a batch of images (N, C, ...) alone; one image is a batch too: image[None]."
    ) from failed


def _described(value: object) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    kind = type(value).__name__
    return f"{kind} of shape {value.shape}" if isinstance(value, np.ndarray) else kind


def _advice(images: object) -> str:
    if isinstance(images, np.ndarray):
        return " Convert an array with torch.from_numpy."
    return " Join a list with torch.stack." if isinstance(images, list | tuple) else ""


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
