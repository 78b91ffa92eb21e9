"""How weights act: the linear part of a convolution, of a transposed one, of a matrix product."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

CONVOLVE = (F.conv1d, F.conv2d, F.conv3d)
CONVOLVE_TRANSPOSED = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)


class LinearMap(Protocol):
    """How a weight acts on an input."""

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None, pads: Sequence[int]) -> Tensor:
        """W x + b, with x zero-padded by `pads` (as F.pad counts them) first."""
        ...

    def transpose(self, s: Tensor, weight: Tensor, shape: Sequence[int], pads: Sequence[int]) -> Tensor:
        """W^T s, in the input's `shape`."""
        ...

    def shift(self, total: Tensor, bias: Tensor) -> Tensor:
        """An output plus bias."""
        ...

    def scale(self, weight: Tensor, factors: Tensor) -> Tensor:
        """The weight whose outputs are `factors` (O,) times as large."""
        ...

    def halves(self, x: Tensor) -> Tensor:
        """max(x, 0) and -min(x, 0) side by side in the channels."""
        ...

    def mirror(self, weight: Tensor) -> Tensor:
        """W and -W side by side, so that they act on `halves(x)` as W on x."""
        ...

    def whole(self, halves: Tensor) -> Tensor:
        """The sum of both halves, in x's shape."""
        ...


@dataclass(frozen=True)
class Convolution:
    """Convolution in one to three dimensions, (N, C, ...) to (N, O, ...); weights (O, C / groups, ...)."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None, pads: Sequence[int]) -> Tensor:
        """The convolution of x, zero-padded first by `pads`, with W, plus b."""
        padded = F.pad(x, tuple(pads)) if pads else x
        convolve = CONVOLVE[weight.ndim - 3]
        return convolve(padded, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def transpose(self, s: Tensor, weight: Tensor, shape: Sequence[int], pads: Sequence[int]) -> Tensor:
        """The transposed convolution of s with W, cut to the input's `shape`."""
        if self._pointwise(weight) and not pads:  # a convolution takes two thirds of the time
            return CONVOLVE[weight.ndim - 3](s, weight.transpose(0, 1))
        # The largest output padding reaches past every input that a strided convolution can have had.
        rest = tuple(step - 1 for step in self.stride)
        convolve = CONVOLVE_TRANSPOSED[weight.ndim - 3]
        x = convolve(s, weight, None, self.stride, self.padding, rest, self.groups, self.dilation)
        if pads:
            x = F.pad(x, [-pad for pad in pads])
        for axis, step in enumerate(self.stride, start=2):
            x = x.narrow(axis, 0, shape[axis]) if step > 1 else x
        return x

    def shift(self, total: Tensor, bias: Tensor) -> Tensor:
        """An output (N, O, ...) plus bias (O,), the same at all locations."""
        return total + bias.view(-1, *(1 for _ in self.stride))

    def scale(self, weight: Tensor, factors: Tensor) -> Tensor:
        """The weight whose output channels are `factors` times as large."""
        return weight * factors.view(-1, *(1 for _ in weight.shape[1:]))

    def halves(self, x: Tensor) -> Tensor:
        """max(x, 0) and -min(x, 0) side by side, group by group."""
        if self.groups == 1:  # keeps channels last
            return torch.cat((x.clamp(min=0), -x.clamp(max=0)), 1)
        grouped = x.reshape(x.shape[0], self.groups, -1, *x.shape[2:])
        return torch.cat((grouped.clamp(min=0), -grouped.clamp(max=0)), 2).flatten(1, 2)

    def mirror(self, weight: Tensor) -> Tensor:
        """W and -W side by side in the input channels of every group."""
        return torch.cat((weight, -weight), 1)

    def whole(self, halves: Tensor) -> Tensor:
        """The sum of both halves, group by group."""
        if self.groups == 1:
            return torch.add(*halves.chunk(2, 1))
        images, _, *places = halves.shape
        return halves.reshape(images, self.groups, 2, -1, *places).sum(2).flatten(1, 2)

    def _pointwise(self, weight: Tensor) -> bool:
        return self.groups == 1 and {*weight.shape[2:], *self.stride} == {1} and not any(self.padding)


@dataclass(frozen=True)
class TransposedConvolution(Convolution):
    """Transposed convolution, (N, C, ...) to (N, O, ...); weights (C, O / groups, ...).

    Args:
        output_padding: what is added to one side of the output, as in torch.
    """

    output_padding: tuple[int, ...]

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None, pads: Sequence[int]) -> Tensor:
        """The transposed convolution of x with W, plus b; there are no `pads`."""
        convolve = CONVOLVE_TRANSPOSED[weight.ndim - 3]
        return convolve(
            x, weight, bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation
        )

    def transpose(self, s: Tensor, weight: Tensor, shape: Sequence[int], pads: Sequence[int]) -> Tensor:
        """The convolution of s with W, cut to the input's `shape`."""
        convolve = CONVOLVE[weight.ndim - 3]
        x = convolve(s, weight, None, self.stride, self.padding, self.dilation, self.groups)
        for axis, added in enumerate(self.output_padding, start=2):
            x = x.narrow(axis, 0, shape[axis]) if added else x
        return x

    def scale(self, weight: Tensor, factors: Tensor) -> Tensor:
        """The weight whose output channels are `factors` times as large; they lie group by group."""
        grouped = self._grouped(weight)
        return (grouped * factors.view(self.groups, 1, -1, *(1 for _ in weight.shape[2:]))).flatten(0, 1)

    def mirror(self, weight: Tensor) -> Tensor:
        """W and -W side by side, group by group."""
        grouped = self._grouped(weight)
        return torch.cat((grouped, -grouped), 1).flatten(0, 1)

    def _grouped(self, weight: Tensor) -> Tensor:
        return weight.reshape(self.groups, -1, *weight.shape[1:])


@dataclass(frozen=True)
class Matrix:
    """Matrix product over the last axis, (..., C) to (..., O); weights (O, C)."""

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None, pads: Sequence[int]) -> Tensor:
        """The product of W with the last axis of x, plus b; there are no `pads`."""
        return F.linear(x, weight, bias)

    def transpose(self, s: Tensor, weight: Tensor, shape: Sequence[int], pads: Sequence[int]) -> Tensor:
        """The product of W^T with the last axis of s."""
        return s @ weight

    def shift(self, total: Tensor, bias: Tensor) -> Tensor:
        """An output (..., O) plus bias (O,)."""
        return total + bias

    def scale(self, weight: Tensor, factors: Tensor) -> Tensor:
        """The weight with rows `factors` times as large."""
        return weight * factors[:, None]

    def halves(self, x: Tensor) -> Tensor:
        """max(x, 0) and -min(x, 0) side by side in the last axis."""
        return torch.cat((x.clamp(min=0), -x.clamp(max=0)), -1)

    def mirror(self, weight: Tensor) -> Tensor:
        """W and -W side by side in the columns."""
        return torch.cat((weight, -weight), 1)

    def whole(self, halves: Tensor) -> Tensor:
        """The sum of both halves of the last axis."""
        positive, negative = halves.chunk(2, -1)
        return positive + negative
