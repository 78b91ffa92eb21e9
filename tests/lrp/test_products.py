"""Gates, products of tensors and attention in a tiny exported model, against what autograd says of them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from relmask.lrp import compile
from tests.lrp.single import (
    CONSTANT,
    MATRIX,
    SHAPE,
    Function,
    Only,
    image,
    passed,
)

GATES: dict[str, Function] = {
    "softmax": lambda x: x.flatten(2).softmax(-1).view(x.shape),
    "sigmoid": lambda x: (3 * x.mean((2, 3), keepdim=True)).sigmoid(),
    "hardsigmoid": lambda x: F.hardsigmoid(x.square().sum(1, keepdim=True).sqrt()),
    "hardsigmoid from its parts": lambda x: F.relu6(x.mean((2, 3), keepdim=True) + 3) / 6,
    "hardsigmoid from a clamp": lambda x: (x.square() + 3).clamp(0, 6) / 6,
    "reciprocal root": lambda x: (x.square().sum(1, keepdim=True) + 1).rsqrt(),
    "scaled": lambda x: 0.5 * x.sigmoid().expand(-1, -1, -1, -1),
}


@pytest.mark.parametrize("gate", GATES.values(), ids=GATES)
def test_a_gate_passes_nothing_and_the_gated_all(gate: Function) -> None:
    x = image()
    for function in (lambda x: x * gate(x), lambda x: gate(x) * x):
        start, relevance = passed(function, x)
        torch.testing.assert_close(relevance, start.view(SHAPE))


def test_what_lies_behind_a_gate_needs_no_rule() -> None:
    x = image()
    start, relevance = passed(lambda x: x * x.cumsum(1).erf().sigmoid(), x)
    torch.testing.assert_close(relevance, start.view(SHAPE))


def test_factors_that_are_no_gates_share_evenly() -> None:
    x = image()
    start, relevance = passed(lambda x: x[:, :2] * x[:, 2:].tanh(), x)
    torch.testing.assert_close(relevance, start.view(3, 2, 6, 8).repeat(1, 2, 1, 1) / 2)


def test_a_gated_linear_unit_passes_all_to_what_is_gated() -> None:
    x = image()
    start, relevance = passed(lambda x: F.glu(x, 1), x)
    expected = torch.cat((start.view(3, 2, 6, 8), torch.zeros(3, 2, 6, 8, dtype=torch.float64)), 1)
    torch.testing.assert_close(relevance, expected)


PRODUCTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "matmul": lambda a, b: a @ b,
    "bmm": lambda a, b: torch.bmm(a.flatten(0, 1), b.flatten(0, 1)).view(*a.shape[:-1], -1),
    "einsum": lambda a, b: torch.einsum("nhij,nhjk->nhik", a, b),
    "broadcast": lambda a, b: a @ b[:, :1],
}


@pytest.mark.parametrize("product", PRODUCTS.values(), ids=PRODUCTS)
def test_a_product_of_tensors_gives_half_to_each_in_proportion(
    product: Callable[[Tensor, Tensor], Tensor],
) -> None:
    x = image()

    def function(x: Tensor) -> Tensor:
        return product(x[:, :2], x[:, 2:].mT)

    start, relevance = passed(function, x)
    a, b = (side.detach().requires_grad_() for side in (x[:, :2], x[:, 2:]))
    total = product(a, b.mT)
    share = (start.view(total.shape) / (total + 1e-6 * torch.where(total < 0, -1, 1))).detach()
    parts = torch.autograd.grad(total, (a, b), share / 2)
    torch.testing.assert_close(relevance, torch.cat((a * parts[0], b * parts[1]), 1).detach())
    torch.testing.assert_close(relevance.sum(), start.sum(), rtol=1e-3, atol=1e-3)


def test_softmax_that_is_no_gate_passes_what_is_linear_in_it() -> None:
    x = image()
    start, relevance = passed(lambda x: x.softmax(1) - CONSTANT, x)
    start = start.view(SHAPE)
    expected = x * (start - x.softmax(1) * start.sum(1, keepdim=True))
    torch.testing.assert_close(relevance, expected)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"is_causal": True},
        {"scale": 0.3},
        {"attn_mask": MATRIX[:, :5].double()},
        {"attn_mask": MATRIX[:, :5] > -0.5},
    ],
    ids=["plain", "causal", "scaled", "added mask", "boolean mask"],
)
def test_attention_in_one_call_is_attention_from_its_parts(options: dict[str, Any]) -> None:
    x = torch.randn(2, 12, 5, 8, dtype=torch.float64)

    def fused(x: Tensor) -> Tensor:
        q, k, v = x.chunk(3, 1)
        return F.scaled_dot_product_attention(q, k, v, **options)

    def parts(x: Tensor) -> Tensor:
        q, k, v = x.chunk(3, 1)
        scores = q @ k.mT * options.get("scale", 8**-0.5)
        mask = options.get("attn_mask")
        if options.get("is_causal"):
            mask = torch.ones(5, 5).tril() > 0
        if mask is not None and mask.dtype == torch.bool:
            scores = scores.masked_fill(~mask, float("-inf"))
        elif mask is not None:
            scores = scores + mask
        return torch.matmul(scores.softmax(-1), v)

    start, relevance = passed(fused, x)
    model = Only(parts)
    torch.testing.assert_close(relevance, compile(model, x, "epsilon_plus")(x, start)[1])
    assert relevance.isfinite().all()


def test_guided_pooling_starts_at_the_places_with_their_signs() -> None:
    x = image()

    def pooled(x: Tensor) -> Tensor:
        scores = x.flatten(2)
        return ((scores + x.square().mean(1).flatten(1)[:, None]).softmax(-1) * scores).sum(-1)

    logits = pooled(x)
    weights = (x.flatten(2) + x.square().mean(1).flatten(1)[:, None]).softmax(-1)
    _, relevance = compile(Only(pooled), x)(x, 2)
    expected = torch.zeros(3, 4, 48, dtype=torch.float64)
    expected[:, 2] = weights[:, 2] * x.flatten(2)[:, 2]
    torch.testing.assert_close(relevance, expected.view(SHAPE), rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(relevance.sum((1, 2, 3)), logits[:, 2], rtol=1e-3, atol=1e-5)
