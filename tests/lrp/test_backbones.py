"""The backbones that relmask offers, with batch-norm statistics of their own."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from relmask.lrp import Contrast, compile, composites
from relmask.models import zoo
from relmask.models.dinov2 import DinoV2
from relmask.models.vgg import VGG11, VGG16, Vgg

BACKBONES: dict[str, Callable[[], nn.Module]] = {
    "efficientnet-lite0": lambda: zoo.classifier("efficientnet-lite0", 4),
    "vgg-narrow": lambda: zoo.classifier("vgg-narrow", 4),
    "vgg11": lambda: Vgg(VGG11, False, 32, 4),  # a classic head has 120 million weights
    "vgg11-bn": lambda: Vgg(VGG11, True, 32, 4),
    "vgg16": lambda: Vgg(VGG16, False, 32, 4),
    "vgg16-bn": lambda: Vgg(VGG16, True, 32, 4),
    "resnet18": lambda: zoo.classifier("resnet18", 4),
    "resnet34": lambda: zoo.classifier("resnet34", 4),
    "resnet50": lambda: zoo.classifier("resnet50", 4),
}

each_backbone = pytest.mark.parametrize("name", BACKBONES)


def lively(model: nn.Module, images: Tensor, biases: float) -> nn.Module:
    """Statistics of some images, and biases of this size; without biases nothing absorbs relevance."""
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 1.0
    model.train()(images)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d) and not biases:
            part.running_mean = torch.zeros_like(part.weight)
        if isinstance(part, nn.BatchNorm2d | nn.Conv2d | nn.Linear) and part.bias is not None:
            nn.init.normal_(part.bias, std=biases)
    return model.eval()


@each_backbone
def test_a_backbone_is_explained_like_one_image_alone(name: str) -> None:
    images = torch.randn(3, 3, 64, 80)
    model = lively(BACKBONES[name](), images, 0.1)
    explainer = compile(model, images[:2])
    with torch.inference_mode():
        logits, relevance = explainer(images, Contrast(1))
        torch.testing.assert_close(logits, model(images), rtol=1e-4, atol=1e-5)
        assert relevance.shape == images.shape
        assert relevance.isfinite().all()
        alone = explainer(images[1:2], Contrast(1))[1]
        largest = float(relevance[1:2].abs().max())
        torch.testing.assert_close(alone, relevance[1:2], rtol=1e-3, atol=1e-4 * largest)
        assert explainer(torch.randn(1, 3, 71, 99))[1].shape == (1, 3, 71, 99)
    assert len(explainer.programs) == 1


def test_a_transformer_is_explained_like_one_image_alone_whatever_its_size() -> None:
    images, model = torch.randn(3, 3, 56, 84), DinoV2(4, width=48, heads=3, depth=3)
    explainer = compile(lively(model, images, 0.1), images[:2], "attnlrp")
    logits, relevance = explainer(images, Contrast(1))
    torch.testing.assert_close(logits, model(images), rtol=1e-4, atol=1e-5)
    assert relevance.isfinite().all()
    alone = explainer(images[1:2], Contrast(1))[1]
    largest = float(relevance[1:2].abs().max())
    torch.testing.assert_close(alone, relevance[1:2], rtol=1e-3, atol=1e-4 * largest)
    assert explainer(torch.randn(1, 3, 70, 42))[1].shape == (1, 3, 70, 42)


@each_backbone
def test_without_biases_a_backbone_conserves_relevance(name: str) -> None:
    images = torch.rand(2, 3, 48, 64, dtype=torch.float64)
    model = lively(BACKBONES[name]().double(), images, 0.0)
    share = compile(model, images, sizes=False).conserved(images, 2)
    torch.testing.assert_close(share, torch.ones(2, dtype=torch.float64), rtol=0.03, atol=0)


@pytest.mark.parametrize("name", ["vgg11-bn", "resnet18"])
@pytest.mark.parametrize(
    "composite",
    [*(named() for named in composites.PRESETS.values()), composites.epsilon_gamma_box(-3.0, 3.0)],
    ids=lambda composite: composite.name,
)
def test_all_presets_explain_it(name: str, composite: composites.Composite) -> None:
    images = torch.randn(2, 3, 40, 48)
    model = lively(BACKBONES[name](), images, 0.1)
    relevance: Tensor = compile(model, images, composite, sizes=False)(images, 0)[1]
    assert relevance.isfinite().all()
    assert (relevance != 0).any()
