"""Where relevance starts: which logits an explanation explains."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from relmask.errors import UsageError


@dataclass(frozen=True)
class Contrast:
    """What speaks for `a` rather than for something else (Gu et al. 2018).

    Relevance starts at +z_a, and at -z_b; without `b` at -z_k / (K - 1) for every other class k.
    """

    a: "Classes"
    b: "Classes | None" = None


Classes = int | Sequence[int] | Tensor
"""One class, or one for each image."""

Target = Classes | Contrast | None
"""What to explain: None (the predicted class), a class, one an image, a `Contrast`, relevance (N, K)."""


def starting_relevance(logits: Tensor, target: Target) -> Tensor:
    """Relevance of the logits.

    Args:
        logits: (N, K).
        target: None = the predicted class; an int, or (N,) of them = the logit of that class; a `Contrast`; a
            float tensor (N, K) = the relevance itself.

    Returns:
        (N, K).

    Raises:
        UsageError: a class that does not exist, a tensor of another shape, or relevance that is not finite.
    """
    if isinstance(target, Contrast):
        return logits * _contrast(logits, target)
    if not (target is None or isinstance(target, int)):
        target = _tensor(target)
    if isinstance(target, Tensor) and target.is_floating_point():
        if target.shape != logits.shape:
            raise UsageError(
                f"Relevance to start from must have shape {_shape(logits)}, got {_shape(target)}."
            )
        if not torch.compiler.is_compiling() and not bool(target.isfinite().all()):
            raise UsageError("Relevance to start from must be finite; some of it is NaN or infinite.")
        return target.to(logits)
    return logits * _one_hot(logits, logits.argmax(1) if target is None else target)


def split(target: Target, sizes: Sequence[int]) -> Sequence[Target]:
    """The targets of a batch that is split into pieces of these sizes.

    Raises:
        UsageError: a tensor with another number of targets than there are images.
    """
    if isinstance(target, Contrast):
        sides = split(target.a, sizes), split(target.b, sizes)
        return [Contrast(a, b) for a, b in zip(*sides, strict=True)]  # type: ignore[arg-type]
    if not (target is None or isinstance(target, int)):
        target = _tensor(target)
    if not isinstance(target, Tensor) or target.ndim == 0:
        return [target] * len(sizes)
    if len(target) != sum(sizes):
        raise UsageError(f"{sum(sizes)} images cannot have targets of shape {_shape(target)}: one for each.")
    pieces: Sequence[Tensor] = target.split(list(sizes))
    return pieces


def _contrast(logits: Tensor, target: Contrast) -> Tensor:
    chosen = _one_hot(logits, target.a)
    if target.b is not None:
        return chosen - _one_hot(logits, target.b)
    others = logits.shape[1] - 1
    if not others:
        raise UsageError("A contrast needs two classes at least; this model has one logit. Explain target 0.")
    return chosen - (1 - chosen) / others


def _tensor(target: Classes) -> Tensor:
    """Numbers in any container as a tensor."""
    if isinstance(target, Tensor):
        return target
    try:
        return torch.as_tensor(target)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"A target is a class, one class for each image, a Contrast, or relevance (N, K); got {target!r}."
        ) from error


def _one_hot(logits: Tensor, classes: Classes) -> Tensor:
    """(N, K), 1 at each image's class."""
    images, count = logits.shape
    numbers = _tensor(classes).to(logits.device)
    if numbers.is_floating_point() or numbers.dtype == torch.bool or numbers.shape not in ((), (images,)):
        raise UsageError(
            f"A target is a class, one class per image ({images},), a Contrast, or relevance of shape "
            f"{_shape(logits)}; got {numbers.dtype} of shape {_shape(numbers)}."
        )
    if not torch.compiler.is_compiling() and bool(((numbers < 0) | (numbers >= count)).any()):
        known = f"numbered 0 to {count - 1}" if count > 1 else "0 alone, for the model has one logit"
        raise UsageError(f"Classes are {known}; got {classes}.")
    return (numbers.view(-1, 1) == torch.arange(count, device=logits.device)).to(logits)


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)
