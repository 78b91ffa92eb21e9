"""What a user of zennit expects of the presets, against the conventions that DESIGN lists."""

import pytest
import torch

from relmask.lrp.composites import Composite, epsilon_gamma_box, named
from relmask.lrp.graph import capture
from relmask.lrp.program import Program
from relmask.lrp.targets import starting_relevance
from tests.lrp import oracle
from tests.lrp.architectures import example, network

PRESETS: dict[str, tuple[Composite, oracle.Rule, oracle.Rule]] = {
    "EpsilonPlus": (named("epsilon_plus"), oracle.zplus, oracle.zplus),
    "EpsilonPlusFlat": (named("epsilon_plus_flat"), oracle.zplus, oracle.flat),
    "EpsilonAlpha2Beta1": (named("epsilon_alpha2_beta1"), oracle.alpha2_beta1, oracle.alpha2_beta1),
    "EpsilonAlpha2Beta1Flat": (named("epsilon_alpha2_beta1_flat"), oracle.alpha2_beta1, oracle.flat),
    "EpsilonGammaBox": (epsilon_gamma_box(-5.0, 5.0), oracle.gamma, oracle.zbox(-5.0, 5.0)),
}


@pytest.mark.parametrize("name", ["vgg", "resnet", "mobilenet v2", "inception"])
def test_a_preset_gives_the_map_of_its_namesake(name: str) -> None:
    model, images = network(name), example(name)
    captured = capture(model, images, ())
    for composite, rule, first in PRESETS.values():
        program = Program(captured, composite)
        logits, tape = program(images)
        relevance = program.back(tape, starting_relevance(logits, 2))
        wanted = oracle.relevance_of(model, images, 2, rule, first)
        torch.testing.assert_close(relevance, wanted, rtol=1e-5, atol=1e-9 * float(wanted.abs().max()))
