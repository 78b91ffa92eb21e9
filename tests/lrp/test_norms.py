"""Norms, and constants in sums: what AttnLRP says, derived another way."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import jacobian

from relmask.errors import UsageError
from relmask.lrp import Composite, Epsilon, FixedDeviation, Identity, Magnitude, Ratio, compile, kind
from relmask.lrp.composites import attnlrp
from relmask.models.dinov2 import DinoV2, translate
from tests.models.functional_dinov2 import FunctionalDinoV2, random_weights

SMALL = 1e-12
LAYERS = ((kind("convolution"), Epsilon(SMALL)), (kind("linear"), Epsilon(SMALL)))
EXACT = Composite("exact", (*LAYERS, (kind("norm"), FixedDeviation(SMALL)), (kind("shift"), Ratio())))


NORMS: dict[str, nn.Module] = {
    "layer": nn.LayerNorm((3, 4)),
    "layer, no weights": nn.LayerNorm((4,), elementwise_affine=False),
    "group": nn.GroupNorm(3, 6),
    "instance": nn.InstanceNorm2d(6, affine=True),
}
AXES = {"layer": (2, 3), "layer, no weights": (3,), "group": (2, 3, 4), "instance": (2, 3)}


def with_fixed_deviation(norm: nn.Module, name: str, x: Tensor) -> Callable[[Tensor], Tensor]:
    """The norm at x as the affine map that it is while its deviation is a constant."""
    axes = AXES[name]
    weight, bias = dict(norm.named_parameters()).get("weight"), dict(norm.named_parameters()).get("bias")

    def grouped(value: Tensor) -> Tensor:
        return value.unflatten(1, (3, 2)) if name == "group" else value

    deviation = (grouped(x).var(axes, correction=0, keepdim=True) + 1e-5).sqrt()

    def mapped(value: Tensor) -> Tensor:
        value = grouped(value)
        normed = ((value - value.mean(axes, keepdim=True)) / deviation).reshape(x.shape)
        if weight is None or bias is None:
            return normed
        shape = (3, 4) if name == "layer" else (6, 1, 1)
        return normed * weight.view(shape) + bias.view(shape)

    return mapped


class Ended(nn.Module):
    """A norm between an image and two logits."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm, self.head = copy.deepcopy(norm), nn.Linear(6 * 3 * 4, 2)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.norm(x).flatten(1))
        return logits


@pytest.mark.parametrize("name", NORMS)
def test_a_norm_is_the_affine_map_that_its_deviation_makes_it(name: str) -> None:
    model = Ended(NORMS[name]).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(2, 6, 3, 4, dtype=torch.float64)
    _, relevance = compile(model, x, EXACT)(x, 1)
    for number in range(2):
        one = x[number : number + 1]
        mapped = with_fixed_deviation(model.norm, name, one)
        torch.testing.assert_close(mapped(one), model.norm(one))
        outputs, matrix = mapped(one).flatten(), jacobian(mapped, one).view(72, 72)
        at_outputs = outputs * model.head.weight[1]  # epsilon of the head; its bias takes its share
        shares = matrix * one.flatten() / outputs[:, None]  # of each input in each output
        torch.testing.assert_close(relevance[number].flatten(), at_outputs @ shares, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", NORMS)
def test_by_choice_a_norm_passes_everything(name: str) -> None:
    model, x = Ended(NORMS[name]).double(), torch.randn(2, 6, 3, 4, dtype=torch.float64)
    whole = Composite("whole", (*LAYERS, (kind("norm"), Identity())))
    expected = model.norm(x) * model.head.weight[1].view(6, 3, 4)
    torch.testing.assert_close(compile(model, x, whole)(x, 1)[1], expected, rtol=1e-6, atol=1e-8)


class Shifted(nn.Module):
    """Sums with a constant tensor and with a number."""

    def __init__(self) -> None:
        super().__init__()
        self.shift, self.head = nn.Parameter(torch.randn(4)), nn.Linear(4, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(3 - (self.shift + x.flatten(1) + 1))
        return logits


@pytest.mark.parametrize("sharing", [Ratio(), Magnitude(), Identity()])
def test_constants_in_sums_take_what_the_composite_gives_them(sharing: Ratio | Magnitude | Identity) -> None:
    model, x = Shifted().double(), torch.randn(3, 4, 1, 1, dtype=torch.float64)
    _, relevance = compile(model, x, Composite("mine", (*LAYERS, (kind("shift"), sharing))))(x, 0)
    flat, shift = x.flatten(1), model.shift
    expected = (3 - (shift + flat + 1)) * model.head.weight[0]
    for constant, rest in (
        (torch.full((4,), 3.0), -(shift + flat + 1)),
        (torch.ones(4), shift + flat),
        (shift, flat),
    ):
        if isinstance(sharing, Ratio):
            expected = expected * rest / (constant + rest)
        elif isinstance(sharing, Magnitude):
            expected = expected * rest.abs() / (constant.abs() + rest.abs())
    torch.testing.assert_close(relevance.flatten(1), expected, rtol=1e-4, atol=1e-8)


def test_attnlrp_of_a_transformer_is_input_times_the_papers_gradient() -> None:
    weights = random_weights(24, 3, 4)
    model = DinoV2(4, width=24, heads=3, depth=3).double()
    model.load_state_dict(translate(weights))
    images = torch.randn(2, 3, 42, 28, dtype=torch.float64)
    logits, relevance = compile(model.eval(), images, attnlrp(), sizes=False)(images, 2)
    leaf = images.clone().requires_grad_()
    expected = FunctionalDinoV2(weights, 3, attnlrp=True).logits(leaf)
    torch.testing.assert_close(logits, expected.detach())
    (gradient,) = torch.autograd.grad(expected[:, 2].sum(), leaf)
    wanted = images * gradient
    torch.testing.assert_close(relevance, wanted, rtol=0, atol=2e-3 * float(wanted.abs().max()))


def test_rules_that_do_not_fit_are_refused() -> None:
    for place, rule in (
        ("norm", Ratio()),
        ("norm", Epsilon()),
        ("add", Identity()),
        ("linear", FixedDeviation()),
    ):
        with pytest.raises(UsageError, match="does not fit"):
            Composite("wrong", ((kind(place), rule),))
    with pytest.raises(UsageError, match="epsilon must be positive"):
        FixedDeviation(0.0)
