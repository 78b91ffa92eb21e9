import warnings

import torch
from captum.attr import LRP as Captum
from captum.attr._utils.lrp_rules import EpsilonRule
from torch import nn

from relmask.lrp import LRP, Composite, Epsilon, kind

EPSILON = Composite("epsilon", ((kind("convolution"), Epsilon(1e-9)), (kind("linear"), Epsilon(1e-9))))


def test_attribute_is_what_captum_gives() -> None:
    layers = [nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)]
    model = nn.Sequential(*layers).double()
    images, target = torch.rand(2, 3, 8, 8, dtype=torch.float64), [0, 2]
    got, delta = LRP(model, EPSILON).attribute(images, target, return_convergence_delta=True)
    torch.testing.assert_close(LRP(model, EPSILON).attribute(images, torch.tensor(target)), got)
    for layer in layers:
        layer.rule = EpsilonRule()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted, theirs = Captum(model).attribute(images, torch.tensor(target), return_convergence_delta=True)
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(delta.abs(), theirs.abs(), rtol=1e-4, atol=1e-6)
