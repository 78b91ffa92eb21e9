"""Which channels and neurons of a layer the relevance went through."""

from dataclasses import dataclass

import torch
from torch import Tensor


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
        count: how many.
        channels: the axis that counts channels, -1 for tokens; None lists single neurons.

    Example:
        >>> strongest(torch.tensor([[[1.0, 2.0], [0.0, 5.0], [-9.0, 1.0]]]), 2)
        [[Neuron(index=(1,), relevance=5.0), Neuron(index=(0,), relevance=3.0)]]
    """
    if channels is not None:
        axis = channels % relevance.ndim
        relevance = relevance.movedim(axis, 1).flatten(2).sum(2) if relevance.ndim > 2 else relevance
    values, places = relevance.flatten(1).topk(min(count, relevance[0].numel()))
    shape = relevance.shape[1:]
    return [
        [
            Neuron(tuple(int(i) for i in torch.unravel_index(place, shape)), float(value))
            for value, place in zip(*row, strict=True)
        ]
        for row in zip(values, places, strict=True)
    ]
