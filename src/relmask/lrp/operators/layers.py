"""Which ATen operators are affine layers, and how each one's weight acts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from relmask.lrp.affine import Convolution, Linear, Matrix
from relmask.lrp.operators.table import aten


@dataclass(frozen=True)
class LayerOperator:
    """An operator (x, weight, bias, *options) that a rule can take over.

    Args:
        kind: what composites call it.
        linear: `(weight's number of axes, *options)` to how the weight acts.
    """

    kind: str
    linear: Callable[..., Linear]


def _convolution(
    axes: int,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    groups: int = 1,
) -> Convolution:
    def each(value: Sequence[int]) -> tuple[int, ...]:
        return tuple(value) if len(value) == axes - 2 else tuple(value) * (axes - 2)

    return Convolution(each(stride), each(padding), each(dilation), groups)


def _matrix(axes: int) -> Matrix:
    return Matrix()


LAYERS: dict[object, LayerOperator] = {
    aten.conv1d.default: LayerOperator("convolution", _convolution),
    aten.conv2d.default: LayerOperator("convolution", _convolution),
    aten.conv3d.default: LayerOperator("convolution", _convolution),
    aten.linear.default: LayerOperator("linear", _matrix),
}
