import copy

import pytest
import torch
from torch import nn

from relmask import lrp
from relmask.lrp.composites import Composite, epsilon_plus, kind
from relmask.lrp.randomise import Cascade
from relmask.lrp.rules import Flat

FLAT = Composite("flat", ((kind("convolution"), Flat()), (kind("linear"), Flat())))


@pytest.fixture
def model() -> nn.Module:
    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 2)).eval()


def test_the_whole_model_is_explained_as_compile_does(model: nn.Module) -> None:
    images = torch.rand(2, 3, 16, 16)
    cascade = Cascade(model, images, "epsilon_plus")
    logits, relevance = lrp.compile(model, images, "epsilon_plus")(images, 1)
    explanation = cascade.explain(images, 1)
    torch.testing.assert_close(explanation.logits, logits)
    torch.testing.assert_close(explanation.relevance, relevance)
    torch.testing.assert_close(explanation.conserved, relevance.flatten(1).sum(1) / logits[:, 1])
    torch.testing.assert_close(cascade.logits(images), logits)
    assert len(cascade.layers) == 3


def test_layers_are_redrawn_from_the_top_and_the_same_way_for_the_same_seed(model: nn.Module) -> None:
    before = copy.deepcopy(model.state_dict())
    images = torch.rand(2, 3, 16, 16)
    cascade = Cascade(model, images, epsilon_plus())
    head, again, other, both = (
        cascade.explain(images, 0, redrawn, seed) for redrawn, seed in ((1, 0), (1, 0), (1, 1), (2, 0))
    )
    assert torch.equal(head.relevance, again.relevance)
    assert not torch.allclose(head.relevance, other.relevance)
    assert not torch.allclose(head.logits, both.logits)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_variant_that_is_made_once_explains_as_one_that_is_made_each_time(model: nn.Module) -> None:
    images = torch.rand(2, 3, 16, 16)
    cascade = Cascade(model, images, epsilon_plus())
    for redrawn in (0, 2):
        once = cascade.explained_by(redrawn, seed=3)
        for some in (images, images.flip(2)):
            assert torch.equal(once(some, 0).relevance, cascade.explain(some, 0, redrawn, 3).relevance)


def test_relevance_by_flat_rules_depends_on_no_weight(model: nn.Module) -> None:
    images = torch.rand(2, 3, 16, 16)
    for composite, same in ((FLAT, True), (epsilon_plus(), False)):
        cascade = Cascade(model, images, composite)
        whole, through = cascade.explain(images, 0), cascade.explain_through(images, 0, 3)
        assert torch.equal(whole.logits, through.logits)
        assert torch.allclose(whole.relevance, through.relevance) is same
        assert through.relevance.isfinite().all()
