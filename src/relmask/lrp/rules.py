"""How relevance passes through a layer: each rule is a value and one equation.

Rules for affine layers share relevance over contributions w_ij x_j; `Ratio` and `Magnitude` over summands;
`FixedDeviation` passes it through a norm. `Identity` lets constants take none.
"""

import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

import torch
from torch import Tensor

from relmask.errors import UsageError
from relmask.lrp.affine import (
    EPSILON,
    NEGATIVE,
    ONES,
    PLAIN,
    POSITIVE,
    SQUARES,
    Affine,
    Signed,
    WeightPart,
    stabilise,
)


class Rule(ABC):
    """A rule for affine layers: one equation, and what it needs."""

    non_negative: ClassVar[bool] = False
    """The equation is written for inputs >= 0; `Affine` then splits an input that may be negative."""

    keeps_zeros: ClassVar[bool] = True
    """An input of zero gets no relevance."""

    @property
    @abstractmethod
    def parts(self) -> tuple[WeightPart, ...]:
        """The parts of W that the equation uses."""

    @property
    def output_parts(self) -> tuple[WeightPart, ...]:
        """Parts whose totals add up to the output, so that the forward pass computes them anyway."""
        return (PLAIN,)

    @property
    def bias_shares(self) -> bool:
        """The bias takes its share of the relevance, which no input gets then."""
        return True

    @abstractmethod
    def __call__(self, layer: Affine, relevance: Tensor) -> Tensor:
        """The relevance of the layer's input, given that of its output."""


@dataclass(frozen=True)
class Epsilon(Rule):
    """In proportion to w_ij x_j, the denominator kept away from zero (Bach et al. 2015, eq. 58)."""

    epsilon: float = EPSILON

    parts: ClassVar[tuple[WeightPart, ...]] = (PLAIN,)

    def __post_init__(self) -> None:
        _require(_finite(self.epsilon) and self.epsilon > 0, f"epsilon must be positive, got {self}")

    def __call__(self, layer: Affine, relevance: Tensor) -> Tensor:
        """X * W^T (R / z)."""
        return layer.share(PLAIN, relevance, self.epsilon)


@dataclass(frozen=True)
class ZPlus(Rule):
    """In proportion to the positive contributions (Montavon et al. 2017), of negative inputs too.

    Args:
        bias: does a positive bias take its share? The share is lost to the image: over the thirty layers of
            an EfficientNet-Lite0 with folded batch norm, more than 99 % of the relevance.
    """

    bias: bool = True

    non_negative: ClassVar[bool] = True
    parts: ClassVar[tuple[WeightPart, ...]] = (POSITIVE,)

    @property
    def bias_shares(self) -> bool:
        """Whether a positive bias takes its share: `bias`."""
        return self.bias

    def __call__(self, layer: Affine, relevance: Tensor) -> Tensor:
        """X * W+^T (R / z+)."""
        return layer.share(POSITIVE, relevance, sign=+1)


@dataclass(frozen=True)
class AlphaBeta(Rule):
    """Positive and negative contributions, weighted apart (Bach et al. 2015, eq. 60).

    Args:
        alpha: weight of the positive ones.
        beta: weight of the negative ones, alpha - 1.
        bias: does the bias take its share, see `ZPlus`?
    """

    alpha: float = 2.0
    beta: float = 1.0
    bias: bool = True

    non_negative: ClassVar[bool] = True

    def __post_init__(self) -> None:
        numbers = _finite(self.alpha) and _finite(self.beta)
        right = numbers and self.beta >= 0 and math.isclose(self.alpha - self.beta, 1)
        _require(right, f"alpha - beta must be 1 and beta >= 0 to conserve relevance, got {self}")

    @property
    def parts(self) -> tuple[WeightPart, ...]:
        """Positive weights, and negative ones where beta gives them a share."""
        return (POSITIVE, NEGATIVE) if self.beta else (POSITIVE,)

    @property
    def output_parts(self) -> tuple[WeightPart, ...]:
        """The output is z+ + z-, whose summands the equation uses; without z- it is computed for itself."""
        return self.parts if self.beta else (PLAIN,)

    @property
    def bias_shares(self) -> bool:
        """Whether the bias takes its share: `bias`."""
        return self.bias

    def __call__(self, layer: Affine, relevance: Tensor) -> Tensor:
        """Alpha x * W+^T (R / z+) - beta x * W-^T (R / z-)."""
        gain = self.alpha * layer.share(POSITIVE, relevance, sign=+1)
        if not self.beta:
            return gain
        return gain - self.beta * layer.share(NEGATIVE, relevance, sign=-1)


@dataclass(frozen=True)
class Gamma(Rule):
    """Contributions of the output's own sign count 1 + gamma times (Montavon et al. 2019; signed form)."""

    gamma: float = 0.25

    non_negative: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _require(_finite(self.gamma) and self.gamma >= 0, f"gamma must not be negative, got {self}")

    @property
    def parts(self) -> tuple[WeightPart, ...]:
        """W, and W with its positive or its negative entries amplified."""
        return (PLAIN, *self._amplified)

    @property
    def _amplified(self) -> tuple[WeightPart, WeightPart]:
        return Signed(1 + self.gamma, 1), Signed(1, 1 + self.gamma)

    def __call__(self, layer: Affine, relevance: Tensor) -> Tensor:
        """X * (W + gamma W+)^T (R / (z + gamma z+)) where z > 0, the same with W-, z- where z < 0."""
        up, down = self._amplified
        risen = layer.total(up)  # z + gamma z+
        if layer.silent:  # no relevance where z <= 0
            return layer.weigh(up, relevance / layer.stabilised(risen))
        z, nothing = layer.total(PLAIN), torch.zeros_like(relevance)
        gained = layer.weigh(up, torch.where(z > 0, relevance / stabilise(risen), nothing))
        # z + gamma z- without a convolution for it: z- = z - z+, and gamma z+ = risen - z.
        fallen = (2 + self.gamma) * z - risen
        return gained + layer.weigh(down, torch.where(z < 0, relevance / stabilise(fallen), nothing))


@dataclass(frozen=True)
class ZBox(Rule):
    """For a first layer whose input lies in a box: contributions count from its corners (as above, z^B).

    Args:
        low: the smallest value an input can have, one number or one per channel.
        high: the largest.
    """

    low: float | tuple[float, ...]
    high: float | tuple[float, ...]

    keeps_zeros: ClassVar[bool] = False
    parts: ClassVar[tuple[WeightPart, ...]] = (POSITIVE, NEGATIVE)

    def __post_init__(self) -> None:
        low, high = _tuple(self.low), _tuple(self.high)
        alike = len(low) == len(high) and all(map(_finite, (*low, *high)))
        _require(alike, f"low and high must be numbers or one per channel, got {self}")
        _require(all(map(operator.lt, low, high)), f"low must be below high, got {self}")

    def __call__(self, layer: Affine, relevance: Tensor) -> Tensor:
        """(x W - low W+ - high W-)^T (R / its sum), which is (x - low) W+ + (x - high) W-."""
        above, below = layer.x - _channels(self.low, layer.x), layer.x - _channels(self.high, layer.x)
        total = layer.apply(POSITIVE, above, bias=False) + layer.apply(NEGATIVE, below, bias=False)
        s = relevance / stabilise(total)
        return above * layer.transposed(POSITIVE, s) + below * layer.transposed(NEGATIVE, s)


@dataclass(frozen=True)
class WSquare(Rule):
    """In proportion to w_ij ** 2, whatever the input (Montavon et al. 2017)."""

    keeps_zeros: ClassVar[bool] = False
    parts: ClassVar[tuple[WeightPart, ...]] = (SQUARES,)

    def __call__(self, layer: Affine, relevance: Tensor) -> Tensor:
        """(W ** 2)^T (R / (sum of W ** 2 + b ** 2))."""
        total = layer.apply(SQUARES, torch.ones_like(layer.x[:1]))
        return layer.transposed(SQUARES, relevance / stabilise(total))


@dataclass(frozen=True)
class Flat(Rule):
    """Alike to all inputs of an output, whatever they are (Lapuschkin et al. 2019)."""

    keeps_zeros: ClassVar[bool] = False
    parts: ClassVar[tuple[WeightPart, ...]] = (ONES,)

    def __call__(self, layer: Affine, relevance: Tensor) -> Tensor:
        """1^T (R / number of inputs)."""
        total = layer.apply(ONES, torch.ones_like(layer.x[:1]), bias=False)
        return layer.transposed(ONES, relevance / stabilise(total))


@dataclass(frozen=True)
class Norm:
    """A layer, group or instance norm on the way back: y = w (x - mean) / deviation + b.

    Args:
        x: its input.
        y: its output.
        weight: w, as it meets x; None where there is none.
        deviation: as it meets x.
        centre: takes from values of x's shape the means that the norm takes from x.
    """

    x: Tensor
    y: Tensor
    weight: Tensor | None
    deviation: Tensor
    centre: Callable[[Tensor], Tensor]


class Norming(ABC):
    """A rule for norms that look at each image, and for what else has one activation and constants."""

    @abstractmethod
    def __call__(self, norm: Norm, relevance: Tensor) -> Tensor:
        """The relevance of the norm's input, given that of its output."""


@dataclass(frozen=True)
class FixedDeviation(Norming):
    """The deviation is a constant: x - mean is linear, and b takes its share (AttnLRP's own code, LXT).

    Passing everything on (Achtibat et al. 2024, proposition 3.4) conserves relevance, but what mean and bias
    brought then weighs on inputs near zero, and the sums before the norm divide by those: maps blow up.
    """

    epsilon: float = EPSILON

    def __post_init__(self) -> None:
        _require(_finite(self.epsilon) and self.epsilon > 0, f"epsilon must be positive, got {self}")

    def __call__(self, norm: Norm, relevance: Tensor) -> Tensor:
        """X * (g - mean g) with g = w R / (deviation y)."""
        share = relevance / stabilise(norm.y, self.epsilon)
        if norm.weight is not None:
            share = share * norm.weight
        return norm.x * norm.centre(share / norm.deviation)


@dataclass(frozen=True)
class Identity(Norming):
    """All relevance to the activation: norms pass it on, and constants in sums take nothing."""

    def __call__(self, norm: Norm, relevance: Tensor) -> Tensor:
        """R."""
        return relevance


class Sharing(ABC):
    """A rule for sums and averages: what a summand counts."""

    @abstractmethod
    def __call__(self, summand: Tensor) -> Tensor:
        """The weight of each summand; its share is weight / sum of weights."""


@dataclass(frozen=True)
class Ratio(Sharing):
    """Each summand takes the share it brought, a / (a + b): signed, and may explode where signs differ."""

    def __call__(self, summand: Tensor) -> Tensor:
        """The summand itself, with its sign."""
        return summand


@dataclass(frozen=True)
class Magnitude(Sharing):
    """`|a| / (|a| + |b|)`: nothing explodes where summands cancel."""

    def __call__(self, summand: Tensor) -> Tensor:
        """The summand's absolute value."""
        return summand.abs()


def _require(right: bool, reason: str) -> None:
    if not right:
        raise UsageError(f"{reason}.")


def _finite(value: object) -> bool:
    return isinstance(value, Real) and math.isfinite(value)


def _tuple(value: float | Sequence[float]) -> tuple[float, ...]:
    return tuple(value) if isinstance(value, Iterable) else (value,)


def _channels(value: float | Sequence[float], x: Tensor) -> Tensor:
    """One value or one per channel, shaped to meet x (N, C, ...)."""
    values = _tuple(value)
    several = f"the box has {len(values)} channels, the layer's input {x.shape[1]}"
    _require(len(values) in (1, x.shape[1]), several)
    return x.new_tensor(values).view(1, -1, *(1 for _ in x.shape[2:]))
