"""Every rule against its dense float64 derivation, over layers that hypothesis makes up."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from relmask.lrp import Rule, ZBox
from relmask.lrp.linear_maps import CONVOLVE, CONVOLVE_TRANSPOSED, Convolution, Matrix, TransposedConvolution
from tests.lrp.dense import Case
from tests.lrp.test_rules import RULES, shared

few = settings(max_examples=60, suppress_health_check=list(HealthCheck))


def drawn(draw: st.DrawFn, *shape: int) -> Tensor:
    """Numbers of both signs, some of them zero."""
    made = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    values = torch.randn(shape, generator=made, dtype=torch.float64)
    return values * (torch.rand(shape, generator=made) > draw(st.sampled_from((0.0, 0.3, 1.0))))


@st.composite
def convolutions(draw: st.DrawFn) -> Case:
    """In one to three dimensions: any kernel, stride, padding (of single sides too), dilation and groups."""
    axes = draw(st.integers(1, 3))
    groups, inputs, outputs = (draw(st.integers(1, 2)) for _ in range(3))
    longest = draw(st.sampled_from((1, 3)))
    kernel, stride, dilation = (tuple(draw(st.integers(1, longest)) for _ in range(axes)) for _ in range(3))
    padding = tuple(draw(st.integers(0, longest - 1)) for _ in range(axes))
    pads = tuple(draw(st.integers(0, 2)) for _ in range(2 * axes)) if draw(st.booleans()) else ()
    reach = [step * (size - 1) + 1 for step, size in zip(dilation, kernel, strict=True)]
    sizes = [draw(st.integers(length, length + 2)) for length in reach]
    weight = drawn(draw, outputs * groups, inputs, *kernel)
    bias = drawn(draw, outputs * groups) if draw(st.booleans()) else None

    def function(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        padded = F.pad(x, pads)
        return CONVOLVE[axes - 1](padded, weight, bias, stride, padding, dilation, groups)

    shape = (2, inputs * groups, *sizes)
    return Case("", Convolution(stride, padding, dilation, groups), weight, bias, shape, function, pads)


@st.composite
def transposed_convolutions(draw: st.DrawFn) -> Case:
    """The same, transposed, with output padding."""
    axes = draw(st.integers(1, 3))
    groups, inputs, outputs = (draw(st.integers(1, 2)) for _ in range(3))
    kernel, stride, dilation = (tuple(draw(st.integers(1, 3)) for _ in range(axes)) for _ in range(3))
    reach = [step * (size - 1) + 1 for step, size in zip(dilation, kernel, strict=True)]
    padding = tuple(draw(st.integers(0, (length - 1) // 2)) for length in reach)
    longest = [max(pair) - 1 for pair in zip(stride, dilation, strict=True)]
    rest = tuple(draw(st.integers(0, most)) for most in longest)
    weight = drawn(draw, inputs * groups, outputs, *kernel)
    bias = drawn(draw, outputs * groups) if draw(st.booleans()) else None

    def function(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return CONVOLVE_TRANSPOSED[axes - 1](x, weight, bias, stride, padding, rest, groups, dilation)

    shape = (2, inputs * groups, *(draw(st.integers(1, 3)) for _ in range(axes)))
    linear = TransposedConvolution(stride, padding, dilation, groups, rest)
    return Case("", linear, weight, bias, shape, function)


@st.composite
def linear_layers(draw: st.DrawFn) -> Case:
    inputs, outputs = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    bias = drawn(draw, outputs) if draw(st.booleans()) else None
    return Case("", Matrix(), drawn(draw, outputs, inputs), bias, (2, inputs), F.linear)


LAYERS = st.one_of(convolutions(), transposed_convolutions(), linear_layers())


def relevance_like(draw: st.DrawFn, case: Case) -> Tensor:
    output = case.function(torch.zeros(case.shape).double(), case.weight, case.bias)
    return drawn(draw, *output.shape)


@pytest.mark.parametrize(
    ("rule", "derivation"), RULES, ids=lambda given: getattr(given, "__name__", str(given))
)
@few
@given(data=st.data())
def test_a_rule_equals_its_dense_derivation(
    rule: Rule, derivation: Callable[..., Tensor], data: st.DataObject
) -> None:
    case, signed = data.draw(LAYERS), data.draw(st.booleans())
    x, relevance = data.draw(st.composite(drawn)(*case.shape)), data.draw(st.composite(relevance_like)(case))
    x = x if signed else x.abs()
    _, passed = case.passed_back(rule, x, relevance, signed=signed)
    w, b = case.matrix(), case.offset()
    if type(rule).__name__ == "Flat":
        w = ones(case)
    pairs = zip(x, relevance, strict=True)
    expected = torch.stack([derivation(w, b, image.flatten(), start.flatten()) for image, start in pairs])
    torch.testing.assert_close(passed, expected.view_as(x), rtol=1e-7, atol=1e-8)


def ones(case: Case) -> Tensor:
    """Which inputs an output is connected to, weights of zero too."""
    return Case(**{**vars(case), "weight": torch.ones_like(case.weight)}).matrix()


@few
@given(data=st.data())
def test_zbox_equals_its_dense_derivation(data: st.DataObject) -> None:
    case, low, high = data.draw(LAYERS), data.draw(st.floats(-3, -1)), data.draw(st.floats(1, 3))
    x, relevance = data.draw(st.composite(drawn)(*case.shape)), data.draw(st.composite(relevance_like)(case))
    x = x.clamp(low, high)
    _, passed = case.passed_back(ZBox(low, high), x, relevance, signed=True)
    w = case.matrix()
    for image, start, got in zip(x, relevance, passed, strict=True):
        parts = w * image.flatten() - w.clamp(min=0) * low - w.clamp(max=0) * high
        expected = shared(parts, parts.sum(1), start.flatten())
        torch.testing.assert_close(got.flatten(), expected, rtol=1e-7, atol=1e-8)
