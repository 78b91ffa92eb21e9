"""Operators that move values: relevance moves back as they moved, as autograd says of the same function."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.lrp.single import CONSTANT, Function, image, passed, pulled_back


def written_over(x: Tensor) -> Tensor:
    y = x.clone()
    y[:, 1] = x[:, 0]
    y[:, :, 2:4, ::3] = 1.0
    return y


MOVES: dict[str, Function] = {
    "view": lambda x: x.view(x.shape[0], 2, -1),
    "reshape": lambda x: x.transpose(1, 2).reshape(x.shape[0], -1),
    "unsqueeze, squeeze": lambda x: x.unsqueeze(1).squeeze(1),
    "expand": lambda x: x[:, :, None].expand(-1, -1, 3, -1, -1),
    "permute": lambda x: x.permute(0, 2, 3, 1),
    "transpose": lambda x: x.transpose(1, -1),
    "cat": lambda x: torch.cat((x, x[:, :2], x), 1),
    "stack": lambda x: torch.stack((x, x), 2),
    "slice": lambda x: x[:, 1:, ::2, 3:-1],
    "select": lambda x: x[:, 2],
    "split": lambda x: torch.split(x, [1, 2, 1], 1)[1],
    "chunk": lambda x: torch.cat(x.chunk(2, 2)[::-1], 2),
    "narrow": lambda x: x.narrow(2, 1, 3),
    "unbind": lambda x: torch.cat(x.unbind(2)[1:4], -1),
    "swapped, moved": lambda x: x.swapaxes(1, 2).movedim(3, 1).mT,
    "flip": lambda x: x.flip(1, 3),
    "roll": lambda x: x.roll((1, -2), (2, 3)),
    "repeat": lambda x: x.repeat(1, 2, 1, 2),
    "tile": lambda x: x.tile(2, 3),
    "repeat_interleave": lambda x: x.repeat_interleave(2, 1),
    "index": lambda x: x[:, [2, 0, 2], 1:],
    "index by tensors": lambda x: x[:, torch.tensor([[0], [3]]), torch.tensor([1, 1, 5])],
    "index by a mask": lambda x: x[:, torch.tensor([True, False, True, True])],
    "index_select": lambda x: x.index_select(3, torch.tensor([7, 0, 7])),
    "gather": lambda x: x.gather(1, torch.tensor([3, 0, 0]).view(1, 3, 1, 1).expand(x.shape[0], 3, 6, 8)),
    "diagonal": lambda x: x.diagonal(1, 2, 3),
    "unfold": lambda x: x.unfold(3, 3, 2),
    "im2col": lambda x: F.unfold(x, 3, padding=1, stride=2),
    "pixel_shuffle": lambda x: F.pixel_shuffle(x, 2),
    "pixel_unshuffle": lambda x: F.pixel_unshuffle(x, 2),
    "channel_shuffle": lambda x: F.channel_shuffle(x, 2),
    "stacked sideways": lambda x: torch.hstack((x, x[:, :1])),
    "where": lambda x: torch.where(torch.arange(8) > 3, x, x.flip(1)),
    "where, else a constant": lambda x: torch.where(x > 0, x, CONSTANT),
    "where, else a number": lambda x: torch.where(x > 0, 0.0, x),
    "masked_fill": lambda x: x.masked_fill(torch.arange(8) > 5, -1.0),
    "written over": lambda x: written_over(x),
    "topk": lambda x: x.topk(2, 1).values,
    "sort": lambda x: x.sort(3, descending=True).values,
    "max over an axis": lambda x: x.max(1).values,
    "min over an axis": lambda x: x.min(2, keepdim=True).values,
    "larger of two": lambda x: torch.maximum(x[:, :2], x[:, 2:]),
    "smaller of two": lambda x: torch.minimum(x, x.roll(1, 1)),
    "minimum": lambda x: x.amin(1),
    "max-pooling, 1-dimensional": lambda x: F.max_pool1d(x.flatten(2), 3, 2),
    "max-pooling, 3-dimensional": lambda x: F.max_pool3d(x[:, None], 2),
    "adaptive max-pooling, 1-dimensional": lambda x: F.adaptive_max_pool1d(x.flatten(2), 5),
    "adaptive max-pooling, 3-dimensional": lambda x: F.adaptive_max_pool3d(x[:, None], (2, 3, 2)),
    "nearest, 1-dimensional": lambda x: F.interpolate(x.flatten(2), size=77),
    "nearest, 3-dimensional": lambda x: F.interpolate(x[:, None], scale_factor=2),
    "nearest, exact": lambda x: F.interpolate(x, size=(9, 13), mode="nearest-exact"),
    "wrapped padding": lambda x: F.pad(x, (2, 1, 3, 2), mode="circular"),
    "mirrored padding, 1-dimensional": lambda x: F.pad(x.flatten(2), (2, 3), mode="reflect"),
    "copied padding, 3-dimensional": lambda x: F.pad(x[:, None], (1, 0, 2, 1, 0, 1), mode="replicate"),
    "zero padding": lambda x: F.pad(x, (1, 2, 0, 1)),
    "mirrored padding": lambda x: F.pad(x, (2, 1, 3, 2), mode="reflect"),
    "copied padding": lambda x: F.pad(x, (2, 1, 3, 2), mode="replicate"),
    "cropping": lambda x: F.pad(x, (-1, 0, -2, -1)),
    "nearest": lambda x: F.interpolate(x, size=(9, 13), mode="nearest"),
    "nearest, by factor": lambda x: F.interpolate(x, scale_factor=2, mode="nearest"),
    "max-pooling": lambda x: F.max_pool2d(x, 2),
    "max-pooling, overlapping": lambda x: F.max_pool2d(x, 3, 2, 1),
    "max-pooling, dilated, ceil": lambda x: F.max_pool2d(x, 2, 3, dilation=2, ceil_mode=True),
    "adaptive max-pooling": lambda x: F.adaptive_max_pool2d(x, (2, 3)),
    "maximum": lambda x: x.amax((2, 3)),
    "dropout": lambda x: F.dropout2d(F.dropout(x, training=False), training=False),
}


@pytest.mark.parametrize("function", MOVES.values(), ids=MOVES)
def test_relevance_moves_back_as_values_moved(function: Function) -> None:
    x = image()
    start, relevance = passed(function, x)
    torch.testing.assert_close(relevance, pulled_back(function, x, start))
