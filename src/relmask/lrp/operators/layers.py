"""Which ATen operators are affine layers, and how each one's weight acts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from relmask.lrp.linear_maps import Convolution, LinearMap, Matrix, TransposedConvolution
from relmask.lrp.operators.table import aten


@dataclass(frozen=True)
class LayerOperator:
    """An operator (x, weight, bias, *options) that a rule can take over.

    Args:
        kind: what composites call it.
        linear: `(weight's number of axes, *options)` to how the weight acts.
        pads: the step can pad its input with zeros first.
    """

    kind: str
    linear: Callable[..., LinearMap]
    pads: bool = False


def _each(axes: int, value: Sequence[int]) -> tuple[int, ...]:
    """One number per spatial axis."""
    return tuple(value) if len(value) == axes - 2 else tuple(value) * (axes - 2)


def _convolution(
    axes: int,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    groups: int = 1,
) -> Convolution:
    return Convolution(_each(axes, stride), _each(axes, padding), _each(axes, dilation), groups)


def _transposed_convolution(
    axes: int,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    output_padding: Sequence[int] = (0,),
    groups: int = 1,
    dilation: Sequence[int] = (1,),
) -> TransposedConvolution:
    return TransposedConvolution(
        _each(axes, stride), _each(axes, padding), _each(axes, dilation), groups, _each(axes, output_padding)
    )


def _matrix(axes: int) -> Matrix:
    return Matrix()


LAYERS: dict[object, LayerOperator] = {
    aten.conv1d.default: LayerOperator("convolution", _convolution, pads=True),
    aten.conv2d.default: LayerOperator("convolution", _convolution, pads=True),
    aten.conv3d.default: LayerOperator("convolution", _convolution, pads=True),
    aten.conv_transpose1d.default: LayerOperator("convolution", _transposed_convolution),
    aten.conv_transpose2d.input: LayerOperator("convolution", _transposed_convolution),
    aten.conv_transpose3d.input: LayerOperator("convolution", _transposed_convolution),
    aten.linear.default: LayerOperator("linear", _matrix),
}
