"""How much is alive at once, against captum on the same work."""

import warnings

import pytest
import torch
from captum.attr import LRP as Captum
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule
from torch import Tensor, nn

from memory_meter import peak
from relmask.lrp import AlphaBeta, Composite, Epsilon, Rule, compile, kind
from relmask.models.vgg import VGG11, Vgg


def test_the_meter_counts_what_is_alive_at_once() -> None:
    x = torch.ones(1000)

    def two_at_once() -> Tensor:
        y = x + 1  # 4000 bytes
        y = y * 2  # two of them
        del y
        z = x.view(10, 100)  # nothing
        return z + 1

    assert peak(two_at_once) == 8000


@pytest.mark.parametrize(
    ("rule", "captums"),
    [(Epsilon(), EpsilonRule), (AlphaBeta(1, 0), Alpha1_Beta0_Rule)],
    ids=["epsilon", "alpha1"],
)
def test_at_most_six_tenths_of_captums_memory_are_needed(rule: Rule, captums: type) -> None:
    model = Vgg(VGG11, False, 32, 4).eval()
    images = torch.rand(2, 3, 64, 64)
    composite = Composite("same", ((kind("convolution"), rule), (kind("linear"), rule)))
    explainer = compile(model, images, composite, sizes=False)
    with torch.inference_mode():
        ours = peak(lambda: explainer(images, 0))
    for layer in model.modules():
        layer.rule = captums() if isinstance(layer, nn.Conv2d | nn.Linear) else EpsilonRule()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = peak(lambda: Captum(model).attribute(images, target=0))
    assert ours <= 0.6 * theirs
