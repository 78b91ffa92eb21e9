import copy
from typing import cast

import pytest
import torch
from captum.attr import LayerAttribution, LayerGradCam
from torch import Tensor, nn

from relmask.data.reading import Intensity
from relmask.evaluation.comparison.attributions import (
    ATTRIBUTIONS,
    AttributionModel,
    NotApplicable,
    grad_cam,
    gradient_shap,
    occlusion,
)
from relmask.inference.explained import ExplainedClassifier
from relmask.models.bundle import Architecture, Input, build
from relmask.models.guided import GuidedClassifier

SIZE = 32
SPEC = Input(size=SIZE, windows=False, mean=(0.5,) * 3, std=(0.25,) * 3, intensity=Intensity())


def network(
    backbone: str = "vgg-narrow", taps: tuple[int, ...] = (1, 3), margin: int = 0
) -> GuidedClassifier:
    architecture = Architecture(
        backbone=backbone, taps=taps, margin=margin, stride=8, hidden=8, novelty_groups=0
    )
    return build(architecture, 2, SIZE, pretrained=False).eval()


def explained(name: str, model: GuidedClassifier, images: Tensor, steps: int = 5) -> Tensor:
    reader = AttributionModel(
        ExplainedClassifier(model, SPEC, "epsilon_plus", torch.device("cpu")), ATTRIBUTIONS[name], images[:1]
    )
    reader.steps = min(reader.steps, steps)
    return reader.relevance(images, torch.tensor([0, 1]))


@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_an_explanation_has_a_value_a_pixel_repeats_itself_and_leaves_the_model_alone(name: str) -> None:
    model, images = network(), torch.rand(2, 3, SIZE, SIZE)
    before = copy.deepcopy(model.state_dict())
    found = explained(name, model, images)
    assert found.shape == (2, SIZE, SIZE)
    assert torch.isfinite(found).all()
    assert found.abs().sum() > 0
    torch.testing.assert_close(explained(name, model, images), found)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())


@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_it_is_the_chosen_class_that_is_explained(name: str) -> None:
    model, images = network(), torch.rand(1, 3, SIZE, SIZE).expand(2, -1, -1, -1)
    one, other = explained(name, model, images)
    assert not torch.allclose(one, other)


@pytest.mark.parametrize("margin", [0, 16])
def test_grad_cam_is_captums_at_the_deepest_features(margin: int) -> None:
    model = network(taps=(1, 2), margin=margin)
    inputs, targets = torch.randn(2, 3, SIZE, SIZE, requires_grad=True), torch.tensor([0, 1])
    per_tap = LayerGradCam(model, model.features.trunk).attribute(inputs, targets, relu_attributions=True)
    whole = SIZE + 2 * margin
    expected = LayerAttribution.interpolate(per_tap[-1], (whole, whole), "bilinear")[:, 0]
    inside = expected[:, margin : margin + SIZE, margin : margin + SIZE]
    torch.testing.assert_close(grad_cam(model, inputs, targets, inputs[:0], 0), inside)


def test_what_occlusion_says_is_how_much_the_logit_falls() -> None:
    model, inputs = network(), torch.randn(1, 3, SIZE, SIZE)
    targets = torch.tensor([1])
    found = occlusion(model, inputs, targets, inputs[:0], 1)  # one square, all of the image
    with torch.no_grad():
        fall = (model(inputs) - model(torch.zeros_like(inputs)))[0, 1]
    torch.testing.assert_close(found, fall.expand(1, SIZE, SIZE))


def test_expected_gradients_of_a_linear_model_are_weight_times_difference() -> None:
    linear = nn.Linear(3 * SIZE * SIZE, 2)
    model = cast(GuidedClassifier, nn.Sequential(nn.Flatten(), linear))
    inputs, reference = torch.randn(2, 3, SIZE, SIZE), torch.randn(1, 3, SIZE, SIZE)
    found = gradient_shap(model, inputs, torch.tensor([0, 1]), reference, 2)
    expected = linear.weight.view(2, 3, SIZE, SIZE) * (inputs - reference)
    torch.testing.assert_close(found, expected.sum(1).detach())


def test_deep_lift_refuses_activations_that_are_functions() -> None:
    with pytest.raises(NotApplicable, match="modules"):
        explained("deep-lift", network("efficientnet-lite0", (2, 4)), torch.rand(2, 3, SIZE, SIZE))
