"""Affine layers W x + b: what the relevance rules share."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Protocol

import torch
from torch import Tensor, nn

from relmask.lrp.linear_maps import LinearMap

EPSILON = 1e-6


def stabilise(total: Tensor, epsilon: float = EPSILON, sign: int = 0) -> Tensor:
    """A denominator moved away from zero, total + epsilon * sign(total), with sign(0) = +1.

    Args:
        total: the denominator.
        epsilon: by how much.
        sign: of every total, +1 or -1, where it is known; that is faster.
    """
    if sign:
        return total + sign * epsilon
    return torch.where(total < 0, total - epsilon, total + epsilon)


class WeightPart(Protocol):
    """A matrix made from W, elementwise; the part of b is made the same way."""

    def __call__(self, weight: Tensor) -> Tensor:
        """The part of W, or of b, in the same shape."""
        ...


@dataclass(frozen=True)
class Signed:
    """plus * max(w, 0) + minus * min(w, 0)."""

    plus: float
    minus: float

    def __call__(self, weight: Tensor) -> Tensor:
        """Positive and negative entries, each with its own factor."""
        if self.plus == self.minus == 1:
            return weight
        return self.plus * weight.clamp(min=0) + self.minus * weight.clamp(max=0)


@dataclass(frozen=True)
class Squared:
    """w ** 2, as in the rule w-square."""

    def __call__(self, weight: Tensor) -> Tensor:
        """Squares of all entries."""
        return weight.square()


@dataclass(frozen=True)
class Constant:
    """One everywhere, as in the rule flat."""

    def __call__(self, weight: Tensor) -> Tensor:
        """Ones in the shape of the weight, whatever its entries."""
        return torch.ones_like(weight)


PLAIN = Signed(1, 1)
POSITIVE = Signed(1, 0)
NEGATIVE = Signed(0, 1)
SQUARES = Squared()
ONES = Constant()


class Layer(nn.Module):
    """The weights of one affine layer, in all the parts that its rule asks for, made once.

    Args:
        linear: how the weight acts.
        weight: as `linear` takes it.
        bias: (O,) or None.
        parts: what to make of them.
        signed: the rule is written for x >= 0, and x may be negative: share over max(x, 0) and -min(x, 0).
        silent: no relevance comes back where the output is negative (a ReLU follows).
        bias_shares: the bias takes its share of the relevance, which no input gets then.
    """

    def __init__(
        self,
        linear: LinearMap,
        weight: Tensor,
        bias: Tensor | None,
        parts: Sequence[WeightPart],
        *,
        signed: bool = False,
        silent: bool = False,
        bias_shares: bool = True,
    ) -> None:
        super().__init__()
        self.bias_shares = bias_shares
        self.linear = linear
        self.signed = signed
        self.silent = silent
        self.index = {part: i for i, part in enumerate(parts)}
        for part, i in self.index.items():
            both = linear.mirror(weight) if signed and part != PLAIN else weight
            self.register_buffer(f"weight_{i}", part(both), persistent=False)
            self.register_buffer(f"bias_{i}", None if bias is None else part(bias), persistent=False)

    def weights(self, part: WeightPart) -> tuple[Tensor, Tensor | None]:
        """Weight and bias of one of the parts that the layer was made with."""
        i = self.index[part]
        weight, bias = getattr(self, f"weight_{i}"), getattr(self, f"bias_{i}")
        return weight, bias


class Affine:
    """W x + b at one input, and the ways to share relevance over its contributions w_ij x_j."""

    def __init__(self, layer: Layer, x: Tensor, pads: Sequence[int] = ()) -> None:
        self.layer = layer
        self.x = x
        self.pads = pads
        self._totals: dict[WeightPart, Tensor] = {}
        self._halves: Tensor | None = None

    @property
    def silent(self) -> bool:
        """No relevance comes back where the output is negative."""
        return self.layer.silent

    def output(self, parts: Sequence[WeightPart], keep: bool) -> Tensor:
        """W x + b as the sum of the totals of `parts`, which are kept for the way back if `keep`."""
        if not keep:
            return reduce(torch.add, [self.apply(part, self.inputs(part)) for part in parts])
        self._totals.update({part: self.total(part) for part in parts})
        output = reduce(torch.add, [self._totals[part] for part in parts])
        if self.layer.bias_shares:
            return output
        biases = [self.layer.weights(part)[1] for part in parts]
        return reduce(self.layer.linear.shift, [bias for bias in biases if bias is not None], output)

    def inputs(self, part: WeightPart) -> Tensor:
        """What a part acts on: x, or its two halves where the rule wants no negative input."""
        if not self._halved(part):
            return self.x
        if self._halves is None:
            self._halves = self.layer.linear.halves(self.x)
        return self._halves

    def total(self, part: WeightPart) -> Tensor:
        """Sum of a part's contributions, and of its bias where that takes a share, for every output."""
        if part in self._totals:
            return self._totals[part]
        return self.apply(part, self.inputs(part), bias=self.layer.bias_shares)

    def apply(self, part: WeightPart, x: Tensor, *, bias: bool = True) -> Tensor:
        """A part of W, and of b, on any input."""
        weight, offset = self.layer.weights(part)
        return self.layer.linear.apply(x, weight, offset if bias else None, self.pads)

    def transposed(self, part: WeightPart, s: Tensor) -> Tensor:
        """A part of W, transposed, on values of the output's shape."""
        weight, _ = self.layer.weights(part)
        shape = list(self.x.shape)
        return self.layer.linear.transpose(s, weight, shape, self.pads)

    def weigh(self, part: WeightPart, s: Tensor) -> Tensor:
        """x_j * sum_i w_ij s_i for the entries w of a part."""
        weighed = self.transposed(part, s).mul_(self.inputs(part))  # in place, for it was just made
        return self.layer.linear.whole(weighed) if self._halved(part) else weighed

    def share(self, part: WeightPart, relevance: Tensor, epsilon: float = EPSILON, sign: int = 0) -> Tensor:
        """Relevance of each output shared over the inputs by a part's contributions to it.

        Args:
            part: whose contributions.
            relevance: of the output.
            epsilon: what keeps denominators from zero.
            sign: of all contributions, +1 or -1, where it is known.
        """
        return self.weigh(part, relevance / self.stabilised(self.total(part), epsilon, sign))

    def stabilised(self, total: Tensor, epsilon: float = EPSILON, sign: int = 0) -> Tensor:
        """A denominator; where a layer is silent below zero, a cheaper one that is right above."""
        if self.silent and not sign:
            return total.clamp(min=0).add_(epsilon)
        return stabilise(total, epsilon, sign)

    def _halved(self, part: WeightPart) -> bool:
        return self.layer.signed and part != PLAIN
