"""Which channels and neurons of a layer the relevance went through."""

from dataclasses import dataclass

import torch
from torch import Tensor

from relmask.errors import UsageError


@dataclass(frozen=True)
class Neuron:
    """A neuron or a channel of one image.

    Args:
        index: its place in the layer's output, without the number of the image; a channel has one number.
        relevance: its own; a channel's is the sum over its places.
    """

    index: tuple[int, ...]
    relevance: float


def strongest(relevance: Tensor, count: int = 10, *, channels: int | None = 1) -> list[list[Neuron]]:
    """The neurons or channels with the most relevance, for each image, the strongest first.

    Args:
        relevance: of a layer's output, (N, ...), as `Explainer.inner` gives it.
        count: how many, at least 0; all of them where there are fewer.
        channels: the axis that counts channels, -1 for tokens; None lists single neurons.

    Raises:
        UsageError: no tensor with two axes or more, a negative count, or no such axis.

    Example:
        >>> strongest(torch.tensor([[[1.0, 2.0], [0.0, 5.0], [-9.0, 1.0]]]), 2)
        [[Neuron(index=(1,), relevance=5.0), Neuron(index=(0,), relevance=3.0)]]
    """
    if not isinstance(relevance, Tensor) or relevance.ndim < 2:
        raise UsageError(
            "Relevance must be a tensor (N, ...) with two axes or more, as Explainer.inner gives it."
        )
    if count < 0:
        raise UsageError(f"count must not be negative, got {count}.")
    if channels is not None:
        axes = range(1, relevance.ndim)
        if channels not in (*axes, *(axis - relevance.ndim for axis in axes)):
            raise UsageError(f"Relevance {tuple(relevance.shape)} has no axis {channels} of channels.")
        relevance = relevance.movedim(channels, 1).flatten(2).sum(2) if relevance.ndim > 2 else relevance
    values, places = relevance.flatten(1).topk(min(count, relevance.shape[1:].numel()))
    shape = relevance.shape[1:]
    return [
        [
            Neuron(tuple(int(i) for i in torch.unravel_index(place, shape)), float(value))
            for value, place in zip(*row, strict=True)
        ]
        for row in zip(values, places, strict=True)
    ]
