from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from relmask.errors import UsageError
from relmask.lrp import AlphaBeta, Epsilon, Flat, Gamma, Magnitude, Ratio, Rule, WSquare, ZBox, ZPlus
from tests.lrp.dense import CASES, Case

EPSILON = 1e-6


def stabilised(total: Tensor, epsilon: float = EPSILON) -> Tensor:
    return total + epsilon * torch.where(total >= 0, 1.0, -1.0).to(total)


def shared(parts: Tensor, total: Tensor, relevance: Tensor, epsilon: float = EPSILON) -> Tensor:
    """Relevance (O,) shared by contributions (O, I) to totals (O,)."""
    return (relevance / stabilised(total, epsilon)) @ parts


def epsilon_(w: Tensor, b: Tensor, x: Tensor, r: Tensor) -> Tensor:
    return shared(w * x, (w * x).sum(1) + b, r, 0.1)


def zplus(w: Tensor, b: Tensor, x: Tensor, r: Tensor) -> Tensor:
    positive = (w * x).clamp(min=0)
    return shared(positive, positive.sum(1) + b.clamp(min=0), r)


def alpha3_beta2(w: Tensor, b: Tensor, x: Tensor, r: Tensor) -> Tensor:
    negative = (w * x).clamp(max=0)
    return 3 * zplus(w, b, x, r) - 2 * shared(negative, negative.sum(1) + b.clamp(max=0), r)


def zplus_alone(w: Tensor, b: Tensor, x: Tensor, r: Tensor) -> Tensor:
    return zplus(w, torch.zeros_like(b), x, r)


def alpha2_beta1_alone(w: Tensor, b: Tensor, x: Tensor, r: Tensor) -> Tensor:
    positive, negative = (w * x).clamp(min=0), (w * x).clamp(max=0)
    return 2 * shared(positive, positive.sum(1), r) - shared(negative, negative.sum(1), r)


def gamma(w: Tensor, b: Tensor, x: Tensor, r: Tensor) -> Tensor:
    contributions = w * x
    z = contributions.sum(1) + b
    up = contributions + 0.25 * contributions.clamp(min=0)
    down = contributions + 0.25 * contributions.clamp(max=0)
    risen = shared(up, up.sum(1) + b + 0.25 * b.clamp(min=0), r * (z > 0))
    return risen + shared(down, down.sum(1) + b + 0.25 * b.clamp(max=0), r * (z < 0))


def wsquare(w: Tensor, b: Tensor, x: Tensor, r: Tensor) -> Tensor:
    return shared(w**2, (w**2).sum(1) + b**2, r)


def flat(w: Tensor, b: Tensor, x: Tensor, r: Tensor) -> Tensor:
    ones = (w != 0).double()
    return shared(ones, ones.sum(1), r)


RULES = [
    (Epsilon(0.1), epsilon_),
    (ZPlus(), zplus),
    (AlphaBeta(3, 2), alpha3_beta2),
    (AlphaBeta(1, 0), zplus),
    (ZPlus(bias=False), zplus_alone),
    (AlphaBeta(2, 1, bias=False), alpha2_beta1_alone),
    (Gamma(0.25), gamma),
    (WSquare(), wsquare),
    (Flat(), flat),
]

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
each_rule = pytest.mark.parametrize(
    ("rule", "derivation"), RULES, ids=lambda given: getattr(given, "__name__", str(given))
)


def relevance_of(case: Case) -> Tensor:
    return torch.randn(
        2, *case.function(torch.zeros(case.shape).double(), case.weight, None).shape[1:]
    ).double()


@each_rule
@each_case
@pytest.mark.parametrize("signed", [False, True], ids=["non-negative", "signed"])
def test_a_rule_equals_its_dense_derivation(
    case: Case, rule: Rule, derivation: Callable[..., Tensor], signed: bool
) -> None:
    x = torch.randn(case.shape, dtype=torch.float64)
    x = x if signed else x.relu()
    relevance = relevance_of(case)
    output, passed = case.passed_back(rule, x, relevance, signed=signed)
    expected = [
        derivation(case.matrix(), case.offset(), image.flatten(), start.flatten())
        for image, start in zip(x, relevance, strict=True)
    ]
    torch.testing.assert_close(output, case.function(x, case.weight, case.bias))
    torch.testing.assert_close(passed, torch.stack(expected).view_as(x))


@each_case
def test_zbox_equals_its_dense_derivation(case: Case) -> None:
    low, high = (-1.5, -2.0, -1.0, -3.0)[: case.shape[1]], (1.0, 2.0, 3.0, 2.5)[: case.shape[1]]
    if case.name == "linear":
        low, high = (-1.5,), (1.0,)
    x = torch.randn(case.shape, dtype=torch.float64).clamp(-1, 1)
    relevance = relevance_of(case)
    _, passed = case.passed_back(ZBox(low, high), x, relevance, signed=True)
    w = case.matrix()
    corners = [
        torch.zeros_like(x[0]) + torch.tensor(side).view(-1, *[1] * (x.ndim - 2)) for side in (low, high)
    ]
    bottom, top = (w.clamp(min=0) * corners[0].flatten(), w.clamp(max=0) * corners[1].flatten())
    for image, start, got in zip(x, relevance, passed, strict=True):
        parts = w * image.flatten() - bottom - top
        torch.testing.assert_close(got.flatten(), shared(parts, parts.sum(1), start.flatten()))


@each_case
def test_gamma_before_a_relu_needs_only_its_positive_side(case: Case) -> None:
    x = torch.rand(case.shape, dtype=torch.float64)
    relevance = relevance_of(case) * (case.function(x, case.weight, case.bias) > 0)
    _, both = case.passed_back(Gamma(0.5), x, relevance, signed=False)
    _, one = case.passed_back(Gamma(0.5), x, relevance, signed=False, silent=True)
    torch.testing.assert_close(one, both)


@each_case
@pytest.mark.parametrize("rule", [ZPlus(), Flat(), WSquare(), ZBox(-3.0, 3.0)], ids=str)
def test_without_bias_relevance_is_conserved(case: Case, rule: Rule) -> None:
    unbiased = replace(case, bias=None)
    x = torch.rand(case.shape, dtype=torch.float64) + 0.1
    start = relevance_of(case)
    relevance = start * (case.matrix() > 0).any(1).view(start.shape[1:])  # others have nobody to share with
    _, passed = unbiased.passed_back(rule, x, relevance, signed=False)
    torch.testing.assert_close(passed.sum(), relevance.sum(), rtol=1e-4, atol=1e-4)


def test_where_nothing_contributes_no_relevance_appears() -> None:
    case = CASES[1]
    nothing = torch.zeros(case.shape, dtype=torch.float64)
    for rule in (Epsilon(), ZPlus(), AlphaBeta(2, 1), Gamma(0.25)):
        _, passed = case.passed_back(rule, nothing, relevance_of(case), signed=True)
        torch.testing.assert_close(passed, nothing)


def test_ratio_keeps_signs_and_magnitude_does_not() -> None:
    summand = torch.tensor([-2.0, 3.0])
    assert Ratio()(summand).tolist() == [-2, 3]
    assert Magnitude()(summand).tolist() == [2, 3]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Epsilon(0.0),
        lambda: Epsilon(-1.0),
        lambda: Gamma(-0.1),
        lambda: AlphaBeta(2, 2),
        lambda: AlphaBeta(0.5, -0.5),
        lambda: ZBox(1.0, 1.0),
        lambda: ZBox((0.0, 1.0), (1.0, 0.5)),
        lambda: ZBox((0.0, 0.0), (1.0, 1.0, 1.0)),
        lambda: ZBox(0.0, float("inf")),
        lambda: Epsilon(float("nan")),
        lambda: Gamma(float("inf")),
        lambda: Gamma("strong"),  # type: ignore[arg-type]
        lambda: AlphaBeta(float("nan"), 1),
    ],
)
def test_impossible_parameters_are_refused(make: Callable[[], Rule]) -> None:
    with pytest.raises(UsageError, match=r"must|per channel"):
        make()


def test_a_box_of_other_channels_than_the_image_is_refused() -> None:
    case = CASES[1]
    x = torch.zeros(case.shape, dtype=torch.float64)
    relevance = case.function(x, case.weight, None)
    with pytest.raises(UsageError, match="the box has 2 channels, the layer's input 3"):
        case.passed_back(ZBox((0.0, 0.0), (1.0, 1.0)), x, relevance, signed=False)
