"""Each operator in a tiny exported model, against what autograd says of the same function."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from relmask.lrp import Composite, Magnitude, compile, kind

SHAPE = (3, 4, 6, 8)
CONSTANT = torch.randn(4, 1, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
MATRIX = torch.randn(5, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
MATRICES = torch.randn(4, 8, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
Function = Callable[[Tensor], Tensor]


class Only(nn.Module):
    """One function, its output taken as logits."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function
        self.register_buffer("offset", torch.randn(4, 1, 1, dtype=torch.float64))
        self.norm = nn.BatchNorm2d(4).double()
        self.norm.running_mean = torch.randn(4, dtype=torch.float64)
        self.norm.running_var = torch.rand(4, dtype=torch.float64) + 0.5

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x).flatten(1)


def passed(
    function: Function, x: Tensor, composite: str | Composite = "epsilon_plus"
) -> tuple[Tensor, Tensor]:
    """Random relevance of the output, and the input's; also checks logits and one image alone."""
    model = Only(function)
    explainer = compile(model, x, composite)
    start = torch.randn_like(model(x))
    logits, relevance = explainer(x, start)
    torch.testing.assert_close(logits, model(x))
    _, alone = explainer(x[1:2], start[1:2])
    torch.testing.assert_close(alone, relevance[1:2])
    return start, relevance


def pulled_back(function: Function, x: Tensor, start: Tensor) -> Tensor:
    """start, times the derivative."""
    x = x.detach().requires_grad_()
    return torch.autograd.grad(function(x).flatten(1), x, start)[0]


def proportional(function: Function, x: Tensor, start: Tensor) -> Tensor:
    """Each input's share of a linear function."""
    total = function(x).flatten(1)
    return x * pulled_back(function, x, start / (total + 1e-6 * torch.where(total < 0, -1, 1)))


def image() -> Tensor:
    return torch.randn(SHAPE, dtype=torch.float64)


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


AVERAGES: dict[str, Function] = {
    "average": lambda x: F.avg_pool2d(x, 2),
    "average, borders not counted": lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
    "average, borders counted, ceil": lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True),
    "adaptive average": lambda x: F.adaptive_avg_pool2d(x, (4, 3)),
    "global average": lambda x: F.adaptive_avg_pool2d(x, 1),
    "average, 1-dimensional": lambda x: F.avg_pool1d(x.flatten(2), 3, 2, 1),
    "average, 1-dimensional, no stride": lambda x: F.avg_pool1d(x.flatten(2), 4, count_include_pad=False),
    "average, 3-dimensional": lambda x: F.avg_pool3d(x[:, None], (2, 3, 2), 2, 1),
    "adaptive average, 1-dimensional": lambda x: F.adaptive_avg_pool1d(x.flatten(2), 7),
    "adaptive average, 3-dimensional": lambda x: F.adaptive_avg_pool3d(x[:, None], (2, 3, 5)),
    "linear": lambda x: F.interpolate(x.flatten(2), size=61, mode="linear", align_corners=False),
    "trilinear": lambda x: F.interpolate(x[:, None], size=(3, 8, 5), mode="trilinear", align_corners=True),
    "bilinear, antialiased": lambda x: F.interpolate(x, size=(3, 5), mode="bilinear", antialias=True),
    "bilinear": lambda x: F.interpolate(x, size=(11, 5), mode="bilinear", align_corners=False),
    "bilinear, corners aligned": lambda x: F.interpolate(x, size=(4, 9), mode="bilinear", align_corners=True),
    "bilinear, by factor": lambda x: F.interpolate(x, scale_factor=(2.0, 1.5), mode="bilinear"),
}
SUMS: dict[str, Function] = {
    "bicubic": lambda x: F.interpolate(x, size=(9, 13), mode="bicubic", align_corners=False),
    "product with a constant on its left": lambda x: MATRIX @ x,
    "product with constants of an image each": lambda x: torch.einsum("nchw,cwv->nchv", x, MATRICES),
    "mean": lambda x: x.mean((2, 3)),
    "mean, axes kept": lambda x: x.mean(1, keepdim=True),
    "sum": lambda x: x.sum((-1, 2)),
    "sum, axes kept": lambda x: x.sum(1, keepdim=True),
}


@pytest.mark.parametrize("function", (AVERAGES | SUMS).values(), ids=AVERAGES | SUMS)
def test_averages_and_sums_share_in_proportion(function: Function) -> None:
    x = image()
    start, relevance = passed(function, x)
    torch.testing.assert_close(relevance, proportional(function, x, start))


@pytest.mark.parametrize("function", AVERAGES.values(), ids=AVERAGES)
def test_averages_can_share_by_size(function: Function) -> None:
    x = image()
    start, relevance = passed(function, x, Composite("by size", ((kind("average"), Magnitude()),)))
    torch.testing.assert_close(relevance, proportional(function, x.abs(), start))


ELEMENTWISE: dict[str, Function] = {
    "relu": torch.relu,
    "relu in place": lambda x: F.relu(x * 1, inplace=True),
    "relu6": F.relu6,
    "hardtanh": F.hardtanh,
    "clamp": lambda x: x.clamp(min=0.1),
    "leaky relu": F.leaky_relu,
    "elu": F.elu,
    "gelu": F.gelu,
    "silu": F.silu,
    "hardswish": F.hardswish,
    "tanh": torch.tanh,
    "softplus": F.softplus,
    "square": torch.square,
    "root": lambda x: x.square().sqrt(),
    "power": lambda x: x**3,
    "exp, log": lambda x: x.exp().log(),
    "constants": lambda x: ((x + 2 - CONSTANT) * CONSTANT) / 3 + CONSTANT,
    "constants first": lambda x: 1 - CONSTANT + x * 2,
    "celu, selu": lambda x: F.selu(F.celu(x)),
    "mish": F.mish,
    "softsign": F.softsign,
    "shrinking": lambda x: F.softshrink(F.hardshrink(x, 0.1), 0.1),
    "threshold": lambda x: F.threshold(x, 0.1, 2.0),
    "prelu": lambda x: F.prelu(x, CONSTANT.flatten()),
    "swish from its parts": lambda x: x * torch.sigmoid(x),
    "hardswish from its parts": lambda x: x * F.relu6(x + 3) / 6,
    "alpha dropout": lambda x: F.alpha_dropout(F.feature_alpha_dropout(x, training=False), training=False),
    "cast": lambda x: x.double().type_as(CONSTANT),
    "subtracted from a number": lambda x: 1 - x,
    "layer norm": lambda x: F.layer_norm(x, x.shape[2:]),
    "layer norm with weights": lambda x: F.layer_norm(x, (8,), MATRICES[0, :, 0], MATRICES[1, :, 0]),
    "group norm": lambda x: F.group_norm(x, 2),
    "instance norm": lambda x: F.instance_norm(x),
    "root mean square norm": lambda x: F.rms_norm(x, (8,)),
    "root mean square norm from its parts": lambda x: (
        x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)
    ),
    "unit length": lambda x: F.normalize(x, dim=1),
    "sigmoid that is no gate": lambda x: x.sigmoid() - CONSTANT,
}


@pytest.mark.parametrize("function", ELEMENTWISE.values(), ids=ELEMENTWISE)
def test_elementwise_functions_and_constants_pass_relevance_on(function: Function) -> None:
    x = image()
    start, relevance = passed(function, x)
    torch.testing.assert_close(relevance, start.view(SHAPE))


def test_buffers_and_batch_norm_without_a_layer_pass_relevance_on() -> None:
    x = image()
    model = Only(lambda x: x)
    model.function = lambda x: model.norm((x - model.offset) / model.offset)  # type: ignore[operator]
    start = torch.randn(3, 4 * 6 * 8, dtype=torch.float64)
    logits, relevance = compile(model.eval(), x, "epsilon_plus")(x, start)
    torch.testing.assert_close(logits, model(x))
    torch.testing.assert_close(relevance, start.view(SHAPE))


def test_a_residual_conserves_relevance() -> None:
    x = image()
    start, relevance = passed(lambda x: x + x.tanh() * 0.5, x)
    torch.testing.assert_close(relevance, start.view(SHAPE), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("function", "share"),
    [
        (lambda x: x[:, :2] + 3 * x[:, 2:], lambda a, b: a / (a + 3 * b)),
        (lambda x: torch.add(x[:, :2], x[:, 2:], alpha=3), lambda a, b: a / (a + 3 * b)),
        (lambda x: x[:, :2] - x[:, 2:], lambda a, b: a / (a - b)),
        (lambda x: x[:, :2].sub(x[:, 2:], alpha=2), lambda a, b: a / (a - 2 * b)),
    ],
    ids=["a + b", "a + 3b", "a - b", "a - 2b"],
)
def test_summands_share_by_what_they_brought(
    function: Function, share: Callable[[Tensor, Tensor], Tensor]
) -> None:
    x = image()
    start, relevance = passed(function, x)
    expected = share(x[:, :2], x[:, 2:]) * start.view(3, 2, 6, 8)
    torch.testing.assert_close(relevance[:, :2], expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(relevance[:, 2:], start.view(3, 2, 6, 8) - expected, rtol=1e-3, atol=1e-3)


def test_summands_of_opposite_signs_can_share_by_size() -> None:
    x = image()
    by_size = Composite("by size", ((kind("add"), Magnitude()),))
    start, relevance = passed(lambda x: x[:, :2] + x[:, 2:], x, by_size)
    share = x[:, :2].abs() / (x[:, :2].abs() + x[:, 2:].abs())
    torch.testing.assert_close(relevance[:, :2], share * start.view(3, 2, 6, 8), rtol=1e-4, atol=1e-4)


def test_a_broadcast_summand_collects_its_shares() -> None:
    x = image().abs()
    start, relevance = passed(lambda x: x + x.mean((2, 3), keepdim=True), x)
    torch.testing.assert_close(relevance.sum(), start.sum(), rtol=1e-4, atol=1e-4)


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


def test_a_quotient_passes_all_to_the_numerator() -> None:
    x = image()
    start, relevance = passed(lambda x: x / x.square().sum(1, keepdim=True), x)
    torch.testing.assert_close(relevance, start.view(SHAPE))


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


def test_a_log_of_summed_exponentials_shares_by_softmax() -> None:
    x = image()
    start, relevance = passed(lambda x: x.flatten(2).logsumexp(-1), x)
    torch.testing.assert_close(relevance, pulled_back(lambda x: x.flatten(2).logsumexp(-1), x, start))
