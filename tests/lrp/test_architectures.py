"""Every family of networks: relevance is right, conserved, and the same alone as in a batch."""

import pytest
import torch
from torch import Tensor, nn

from relmask.lrp import AlphaBeta, Composite, Epsilon, Flat, Gamma, Rule, WSquare, ZBox, ZPlus, compile, kind
from relmask.lrp.composites import attnlrp, first_layer
from relmask.lrp.graph import capture
from relmask.lrp.program import Program
from relmask.lrp.targets import starting_relevance
from tests.lrp import oracle
from tests.lrp.architectures import NETWORKS, Attention, example, network

each_network = pytest.mark.parametrize("name", NETWORKS)

RULES: dict[str, tuple[Rule, oracle.Rule]] = {
    "epsilon": (Epsilon(), oracle.epsilon),
    "gamma": (Gamma(0.25), oracle.gamma),
    "zplus": (ZPlus(), oracle.zplus),
    "alpha2_beta1": (AlphaBeta(2, 1), oracle.alpha2_beta1),
}
FIRST: dict[str, tuple[Rule, oracle.Rule]] = {
    "zbox": (ZBox(-5.0, 6.0), oracle.zbox(-5, 6)),
    "flat": (Flat(), oracle.flat),
    "wsquare": (WSquare(), oracle.wsquare),
}


def composite(rule: Rule, first: Rule | None = None) -> Composite:
    """The rule for convolutions, epsilon for linear layers."""
    rest = ((kind("convolution"), rule), (kind("linear"), Epsilon()))
    return Composite("tested", ((first_layer & kind("convolution"), first or rule), *rest))


def relevance(program: Program, images: Tensor, target: int) -> Tensor:
    with torch.inference_mode():
        logits, tape = program(images)
        return program.back(tape, starting_relevance(logits, target))


@each_network
def test_relevance_equals_its_modified_gradient(name: str) -> None:
    model, images = network(name), example(name)
    captured = capture(model, images, ())
    for rule, expected in RULES.values():
        got = relevance(Program(captured, composite(rule)), images, 0)
        wanted = oracle.relevance_of(model, images, 0, expected)
        largest = float(wanted.abs().max())
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-9 * largest)
        single = Program(captured, composite(rule)).float()
        torch.testing.assert_close(
            relevance(single, images.float(), 0).double(), wanted, rtol=1e-3, atol=1e-3 * largest
        )


@each_network
def test_constants_in_sums_share_as_in_a_modified_gradient(name: str) -> None:
    model, images = network(name), example(name)
    got = relevance(Program(capture(model, images, ()), attnlrp()), images, 0)
    wanted = oracle.relevance_of(model, images, 0, oracle.epsilon, constants=True)
    torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-8 * float(wanted.abs().max()))


@pytest.mark.parametrize("name", ["vgg", "mobilenet v3", "convnext", "signal", "volume", "u-net"])
def test_first_layer_rules_equal_their_modified_gradient(name: str) -> None:
    model, images = network(name), example(name)
    captured = capture(model, images, ())
    for rule, expected in FIRST.values():
        got = relevance(Program(captured, composite(ZPlus(), rule)), images, 0)
        wanted = oracle.relevance_of(model, images, 0, oracle.zplus, expected)
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-9 * float(wanted.abs().max()))


@each_network
def test_one_input_alone_equals_the_same_in_a_batch_of_another_size(name: str) -> None:
    model, images = network(name), example(name)
    explainer = compile(model, images[:2], composite(ZPlus()), sizes=False)
    logits, together = explainer(images, 0)
    torch.testing.assert_close(logits, model(images))
    torch.testing.assert_close(explainer(images[2:], 0)[1], together[2:])
    assert len(explainer.programs) == 1


@pytest.mark.parametrize(
    "name", sorted(NETWORKS.keys() - {"vision transformer"})
)  # softmax has a constant term
def test_without_biases_relevance_is_conserved(name: str) -> None:
    model, images = network(name, biases=False), example(name).abs()
    share = compile(model, images, composite(Epsilon(1e-12)), sizes=False).conserved(images, 0)
    torch.testing.assert_close(share, torch.ones_like(share), rtol=1e-3, atol=0)


def test_torchs_attention_is_attention_from_its_parts() -> None:
    class Torchs(nn.Module):
        def __init__(self, parts: Attention) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            weights = {f"in_proj_{name}": value for name, value in parts.qkv.state_dict().items()}
            weights |= {f"out_proj.{name}": value for name, value in parts.out.state_dict().items()}
            self.attention.load_state_dict(weights)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.attention(x, x, x, need_weights=False)[0]
            return y.flatten(1)

    parts = Attention(8, 2, fused=True)
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    one, other = Torchs(parts).double().eval(), nn.Sequential(parts, nn.Flatten()).double().eval()
    for got, wanted in zip(
        *(compile(model, x, composite(ZPlus()))(x, 7) for model in (one, other)), strict=True
    ):
        torch.testing.assert_close(got, wanted)
