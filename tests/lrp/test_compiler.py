import torch
from torch import nn

from relmask import lrp


def test_relevance_has_the_images_shape_and_logits_are_the_models() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )
    images = torch.randn(2, 3, 8, 8)
    logits, relevance = lrp.compile(model, images, "epsilon_plus")(images)
    torch.testing.assert_close(logits, model(images))
    assert relevance.shape == images.shape
