"""Sums, averages and elementwise functions in a tiny exported model, against what autograd says of them."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from relmask.lrp import Composite, Magnitude, compile, kind
from tests.lrp.single import (
    CONSTANT,
    MATRICES,
    MATRIX,
    SHAPE,
    Function,
    Only,
    image,
    passed,
    proportional,
    pulled_back,
)

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


def test_a_quotient_passes_all_to_the_numerator() -> None:
    x = image()
    start, relevance = passed(lambda x: x / x.square().sum(1, keepdim=True), x)
    torch.testing.assert_close(relevance, start.view(SHAPE))


def test_a_log_of_summed_exponentials_shares_by_softmax() -> None:
    x = image()
    start, relevance = passed(lambda x: x.flatten(2).logsumexp(-1), x)
    torch.testing.assert_close(relevance, pulled_back(lambda x: x.flatten(2).logsumexp(-1), x, start))
