"""LRP a second time: any eager forward pass, rewritten so that its gradient is relevance.

Where relmask walks an exported graph backwards with plain tensors, this intercepts the calls of a running
network and replaces each by one with the same value and another gradient. `scaled(x)` has the value of x and
the derivative x, so that a sum of contributions w_ij x_j over their total has their shares as its gradient.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

EPSILON = 1e-6
Affine = Callable[[Tensor, Tensor, Tensor | None], Tensor]
Rule = Callable[[Tensor, Tensor, Tensor | None, Affine], Tensor]
Weigh = Callable[[Tensor], Tensor]


def valued(value: Tensor, relevance: Tensor) -> Tensor:
    """`value`, with the gradient of `relevance`."""
    return value.detach() + relevance - relevance.detach()


def scaled(x: Tensor, value: float | Tensor | None = None) -> Tensor:
    """x, or another value in its place, with that value as its derivative."""
    return (x.detach() if value is None else value) * (1 + x - x.detach())


def shared(total: Tensor, value: Tensor) -> Tensor:
    """`value`, whose relevance goes to the summands of `total` in proportion."""
    return valued(value, total / (total + EPSILON * torch.where(total < 0, -1, 1)).detach())


def halves(a: Tensor, b: Tensor, product: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """A product of which each factor gets half."""
    value = product(a, b)
    first, second = product(scaled(a), b.detach()), product(a.detach(), scaled(b))
    return (shared(first, value) + shared(second, value)) / 2


def signed(x: Tensor, w: Tensor, b: Tensor | None, call: Affine, sign: int) -> Tensor:
    """The sum of all contributions of one sign."""
    up, down = (w.clamp(min=0), w.clamp(max=0)) if sign > 0 else (w.clamp(max=0), w.clamp(min=0))
    bias = b if b is None else b.clamp(min=0) if sign > 0 else b.clamp(max=0)
    return call(scaled(x).clamp(min=0), up, bias) + call(scaled(x).clamp(max=0), down, None)


def epsilon(x: Tensor, w: Tensor, b: Tensor | None, call: Affine) -> Tensor:
    """Bach et al. 2015, eq. 58."""
    return shared(call(scaled(x), w, b), call(x, w, b))


def zplus(x: Tensor, w: Tensor, b: Tensor | None, call: Affine) -> Tensor:
    """Montavon et al. 2017."""
    return shared(signed(x, w, b, call, +1), call(x, w, b))


def alpha2_beta1(x: Tensor, w: Tensor, b: Tensor | None, call: Affine) -> Tensor:
    """Bach et al. 2015, eq. 60."""
    z = call(x, w, b)
    return 2 * shared(signed(x, w, b, call, +1), z) - shared(signed(x, w, b, call, -1), z)


def gamma(x: Tensor, w: Tensor, b: Tensor | None, call: Affine) -> Tensor:
    """Montavon et al. 2019, for both signs."""
    z = call(scaled(x), w, b)
    up, down = (shared(z + 0.25 * signed(x, w, b, call, sign), z) for sign in (+1, -1))
    return torch.where(z > 0, up, torch.where(z < 0, down, z.detach()))


def flat(x: Tensor, w: Tensor, b: Tensor | None, call: Affine) -> Tensor:
    """Lapuschkin et al. 2019."""
    return shared(call(scaled(x, 1.0), torch.ones_like(w), None), call(x, w, b))


def wsquare(x: Tensor, w: Tensor, b: Tensor | None, call: Affine) -> Tensor:
    """Montavon et al. 2017."""
    return shared(call(scaled(x, 1.0), w**2, None if b is None else b**2), call(x, w, b))


def zbox(low: float, high: float) -> Rule:
    """Montavon et al. 2017, for inputs between two numbers."""

    def rule(x: Tensor, w: Tensor, b: Tensor | None, call: Affine) -> Tensor:
        bottom, top = call(scaled(x, low), w.clamp(min=0), None), call(scaled(x, high), w.clamp(max=0), None)
        return shared(call(scaled(x), w, None) - bottom - top, call(x, w, b))

    return rule


CONVOLUTIONS = {f"conv{kind}{axes}d" for kind in ("", "_transpose") for axes in (1, 2, 3)}
ELEMENTWISE = {
    *("relu", "relu_", "relu6", "clamp_", "leaky_relu", "elu", "gelu", "silu", "hardswish"),
}
AVERAGES = {
    *("mean", "interpolate", "avg_pool1d", "avg_pool2d", "avg_pool3d"),
    *(f"adaptive_avg_pool{axes}d" for axes in (1, 2, 3)),
}
GATES = {"sigmoid", "hardsigmoid"}


class Layer(NamedTuple):
    """What made a tensor, for a batch norm to fold into."""

    x: Tensor
    w: Tensor
    b: Tensor | None
    call: Affine
    transposed: bool


class Oracle(TorchFunctionMode):
    """Inside it, a network whose parameters need no gradient runs with the gradients of a rule.

    Args:
        convolution: the rule of convolutions; linear layers take epsilon.
        image: the input.
        first: the rule of convolutions that meet the image itself.
        weigh: what a summand counts.
        constants: do constants in sums take their share?
    """

    def __init__(
        self, convolution: Rule, image: Tensor, first: Rule, weigh: Weigh, constants: bool = False
    ) -> None:
        super().__init__()
        self.constants = constants
        self.convolution, self.image, self.first, self.weigh = convolution, image, first, weigh
        self.layers: dict[Tensor, Layer] = {}
        self.gates: set[Tensor] = set()

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
        name, kwargs = function.__name__, dict(kwargs or {})
        kwargs.pop("inplace", None)
        if not any(isinstance(value, Tensor) and value.requires_grad for value in args):
            return function(*args, **kwargs)
        if name in CONVOLUTIONS:
            return self.convolve(function, *args, **kwargs)
        if name in ELEMENTWISE:
            return valued(function(args[0].detach().clone(), *args[1:], **kwargs), args[0])
        if name in AVERAGES:
            return shared(function(scaled(args[0]), *args[1:], **kwargs), function(*args, **kwargs))
        if name in GATES:
            self.gates.add(gate := function(*args))
            return gate
        special = getattr(self, f"on_{name.strip('_').removeprefix('i')}", None)
        return special(*args, **kwargs) if special else function(*args, **kwargs)

    def rule(self, x: Tensor) -> Rule:
        return self.first if x is self.image else self.convolution

    def convolve(
        self,
        function: Any,  # noqa: ANN401
        x: Tensor,
        w: Tensor,
        b: Tensor | None,
        *args: Any,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> Tensor:
        def call(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
            z: Tensor = function(x, w, b, *args, **kwargs)
            return z

        z = self.rule(x)(x, w, b, call)
        self.layers[z] = Layer(x, w, b, call, "transpose" in function.__name__)
        return z

    def on_linear(self, x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
        z = epsilon(x, w, b, F.linear)
        self.layers[z] = Layer(x, w, b, F.linear, False)
        return z

    def on_batch_norm(
        self,
        x: Tensor,
        mean: Tensor,
        var: Tensor,
        weight: Tensor,
        bias: Tensor,
        *,
        eps: float,
        **_: Any,  # noqa: ANN401
    ) -> Tensor:
        scale = weight / (var + eps).sqrt()
        if x not in self.layers:
            shape = (-1, *(1 for _ in x.shape[2:]))
            shift = (bias - mean * scale).view(shape)
            value = x * scale.view(shape) + shift
            return (
                shared(scaled(x) * scale.view(shape) + shift, value) if self.constants else valued(value, x)
            )
        layer = self.layers[x]
        axis = int(layer.transposed)
        folded = layer.w * scale.view([-1 if i == axis else 1 for i in range(layer.w.ndim)])
        offset = bias - mean * scale if layer.b is None else bias + (layer.b - mean) * scale
        return (self.rule(layer.x) if x.ndim > 2 else epsilon)(layer.x, folded, offset, layer.call)

    def on_layer_norm(
        self, x: Tensor, shape: tuple[int, ...], weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> Tensor:
        """Achtibat et al. 2024, section 3.3, as their code has it: a linear map, its deviation detached."""
        axes, seen = tuple(range(-len(shape), 0)), scaled(x)
        normed = (seen - seen.mean(axes, keepdim=True)) / deviation(x, axes, eps)
        total = (normed if weight is None else normed * weight) + (0 if bias is None else bias)
        return shared(total, F.layer_norm(x, shape, weight, bias, eps))

    def on_group_norm(
        self, x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float, _: bool = True
    ) -> Tensor:
        """The same, for the channels of a group and all locations."""
        seen, like = (value.unflatten(1, (groups, -1)) for value in (scaled(x), x.detach()))
        axes = tuple(range(2, seen.ndim))
        normed = ((seen - seen.mean(axes, keepdim=True)) / deviation(like, axes, eps)).flatten(1, 2)
        shape = (-1, *(1 for _ in x.shape[2:]))
        total = normed * weight.view(shape) + bias.view(shape)
        return shared(total, F.group_norm(x, groups, weight, bias, eps))

    def on_add(self, a: Any, b: Any) -> Tensor:  # noqa: ANN401
        both = depends(a) and depends(b)
        if not (both or self.constants):
            return valued(a + b, a if depends(a) else b)
        weights = [self.weigh(scaled(side) if depends(side) else torch.as_tensor(side)) for side in (a, b)]
        return shared(weights[0] + weights[1], a + b)

    def on_mul(self, a: Any, b: Any) -> Tensor:  # noqa: ANN401
        passing = [side for side in (a, b) if depends(side) and side not in self.gates]
        return halves(a, b, torch.mul) if len(passing) == 2 else valued(a * b, passing[0].expand_as(a * b))

    def on_matmul(self, a: Tensor, b: Tensor) -> Tensor:
        return halves(a, b, torch.matmul) if depends(b) else epsilon(a, b, None, lambda x, w, _: x @ w)

    def on_einsum(self, equation: str, a: Tensor, b: Tensor) -> Tensor:
        return halves(a, b, lambda a, b: torch.einsum(equation, a, b))

    def on_softmax(self, x: Tensor, dim: int) -> Tensor:
        """Achtibat et al. 2024: x_i (R_i - y_i sum R), where log y has the derivatives 1 - y_i and -y_i."""
        seen = scaled(x.masked_fill(x.isinf(), 0)).masked_fill(x.isinf(), float("-inf"))
        return valued(x.softmax(dim), seen.log_softmax(dim).masked_fill(x.isinf(), 0))

    def on_scaled_dot_product_attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores = halves(q, k, lambda q, k: q @ k.mT)
        weights = self.on_softmax(valued(scores * q.shape[-1] ** -0.5, scores), -1)
        return halves(weights, v, torch.matmul)


def deviation(x: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
    x = x.detach()
    return ((x - x.mean(axes, keepdim=True)).square().mean(axes, keepdim=True) + eps).sqrt()


def depends(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, Tensor) and value.requires_grad


def relevance_of(
    model: nn.Module,
    images: Tensor,
    target: int,
    convolution: Rule,
    first: Rule | None = None,
    weigh: Weigh = torch.positive,
    constants: bool = False,
) -> Tensor:
    """What a target's logit passes back.

    Args:
        model: in evaluation mode, no parameter requiring a gradient.
        images: as it takes them.
        target: which logit.
        convolution: the rule of convolutions.
        first: of convolutions that meet the image itself.
        weigh: what a summand counts, itself by default.
        constants: do constants in sums take their share?
    """
    leaf = images.clone().requires_grad_()
    with Oracle(convolution, leaf, first or convolution, weigh, constants):
        logits = model(leaf)[:, target]
    return torch.autograd.grad(logits, leaf, logits.detach())[0]
