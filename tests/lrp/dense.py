"""Affine layers as dense float64 matrices, found by probing torch's own operators with unit inputs."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from relmask.lrp.affine import PLAIN, Layer
from relmask.lrp.instructions import ApplyLayer, Tape
from relmask.lrp.linear_maps import Convolution, LinearMap, Matrix, TransposedConvolution
from relmask.lrp.rules import Rule


@dataclass(frozen=True)
class Case:
    """A layer, as relmask sees it and as torch computes it."""

    name: str
    linear: LinearMap
    weight: Tensor
    bias: Tensor | None
    shape: tuple[int, ...]
    function: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    pads: tuple[int, ...] = field(default=())

    def matrix(self) -> Tensor:
        """(outputs, inputs)."""
        inputs = torch.Size(self.shape[1:]).numel()
        probes = torch.eye(inputs, dtype=torch.float64).view(inputs, *self.shape[1:])
        return self.function(probes, self.weight, None).flatten(1).T

    def offset(self) -> Tensor:
        """(outputs,)."""
        nothing = torch.zeros(1, *self.shape[1:], dtype=torch.float64)
        return self.function(nothing, self.weight, self.bias).flatten()

    def passed_back(
        self, rule: Rule, x: Tensor, relevance: Tensor, *, signed: bool, silent: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Output and the input's relevance, as a compiled instruction gives them."""
        layer = Layer(
            self.linear,
            self.weight,
            self.bias,
            tuple(dict.fromkeys((PLAIN, *rule.output_parts, *rule.parts))),
            signed=rule.non_negative and signed,
            silent=silent,
            bias_shares=rule.bias_shares,
        )
        instruction = ApplyLayer("layer", "x", self.pads, layer, rule)
        tape = Tape({"x": x})
        output = instruction.run(tape)
        ((_, passed),) = instruction.back(tape, relevance)
        return output, passed


def _convolution(
    name: str,
    channels: tuple[int, int],
    size: tuple[int, ...],
    kernel: int,
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
    pads: tuple[int, ...] = (),
    bias: bool = True,
) -> Case:
    axes = len(size)
    made = torch.Generator().manual_seed(len(name))
    weight = torch.randn(
        channels[1], channels[0] // groups, *[kernel] * axes, generator=made, dtype=torch.float64
    )
    offset = torch.randn(channels[1], generator=made, dtype=torch.float64) if bias else None
    convolve = (F.conv1d, F.conv2d, F.conv3d)[axes - 1]

    def function(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return convolve(F.pad(x, pads), weight, bias, stride, padding, dilation, groups)

    options = ((stride,) * axes, (padding,) * axes, (dilation,) * axes, groups)
    return Case(name, Convolution(*options), weight, offset, (2, channels[0], *size), function, pads)


def _transposed(
    name: str,
    channels: tuple[int, int],
    size: tuple[int, ...],
    kernel: int,
    *,
    stride: int = 1,
    padding: int = 0,
    rest: int = 0,
    dilation: int = 1,
    groups: int = 1,
    bias: bool = True,
) -> Case:
    axes = len(size)
    made = torch.Generator().manual_seed(len(name))
    weight = torch.randn(
        channels[0], channels[1] // groups, *[kernel] * axes, generator=made, dtype=torch.float64
    )
    offset = torch.randn(channels[1], generator=made, dtype=torch.float64) if bias else None
    convolve = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[axes - 1]

    def function(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return convolve(x, weight, bias, stride, padding, rest, groups, dilation)

    options = ((stride,) * axes, (padding,) * axes, (dilation,) * axes, groups, (rest,) * axes)
    return Case(name, TransposedConvolution(*options), weight, offset, (2, channels[0], *size), function)


CASES = [
    Case(
        "linear",
        Matrix(),
        torch.randn(5, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64),
        torch.randn(5, generator=torch.Generator().manual_seed(2), dtype=torch.float64),
        (2, 7),
        F.linear,
    ),
    _convolution("convolution", (3, 4), (6, 5), 3, padding=1),
    _convolution("without bias", (3, 4), (5, 6), 3, bias=False),
    _convolution("strided, last rows unused", (2, 4), (6, 8), 3, stride=2),
    _convolution("strided further than the kernel", (2, 3), (8, 9), 2, stride=3),
    _convolution("dilated", (2, 3), (7, 8), 3, dilation=2, padding=2),
    _convolution("grouped", (4, 6), (5, 5), 3, padding=1, groups=2),
    _convolution("depthwise", (4, 4), (6, 6), 3, stride=2, padding=1, groups=4),
    _convolution("padded on two sides as TensorFlow does", (3, 4), (6, 8), 3, stride=2, pads=(0, 1, 0, 1)),
    _convolution("1-dimensional", (2, 3), (9,), 3, stride=2, padding=1),
    _convolution("3-dimensional", (2, 2), (4, 3, 5), 2, stride=2),
    _transposed("transposed", (3, 4), (3, 4), 3, stride=2, padding=1, rest=1),
    _transposed("transposed, grouped", (4, 6), (3, 3), 2, stride=3, groups=2, bias=False),
    _transposed("transposed, dilated, longer by more than its stride", (2, 3), (4, 3), 2, rest=1, dilation=2),
    _transposed("transposed, 1-dimensional", (2, 3), (5,), 4, stride=2, padding=1),
    _transposed("transposed, 3-dimensional", (2, 2), (2, 3, 2), 2, stride=2),
]
