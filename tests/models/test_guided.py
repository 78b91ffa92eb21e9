from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from relmask import lrp
from relmask.models.features import Features
from relmask.models.guided import GuidedClassifier, LocationEvidence
from relmask.models.image_novelty import Memory, known_by
from relmask.models.novelty import Novelty
from relmask.models.zoo import trunk

SIZE = 64


def classifier(hidden: int = 8, novel: bool = True, margin: int = 32) -> GuidedClassifier:
    features = Features(trunk("vgg-narrow"), margin)
    images = torch.rand(8, 3, SIZE, SIZE)
    features.fit([features.averages(images)])
    novelty = Novelty(features.channels, features.grid(SIZE)) if novel else None
    model = GuidedClassifier(features, 3, novelty, hidden).eval()
    with torch.no_grad():
        if model.novelty:
            model.novelty.fit(0, lambda: [model.features(images)])
    return model


@torch.no_grad()
def remembering(model: GuidedClassifier, images: Tensor) -> Memory:
    """Give a model a memory of images, all of them clean."""
    model.memory = Memory(len(images), model.features.channels, clean=len(images))
    model.memory.seen.copy_(known_by(model.features(images)))
    model.memory.clean.copy_(torch.arange(len(images)))
    model.memory.usual.fill_(4)
    model.memory.spread.fill_(2)
    return model.memory


@pytest.mark.parametrize("hidden", [0, 8])
@pytest.mark.parametrize("novel", [True, False])
@pytest.mark.parametrize("remembers", [True, False])
@torch.no_grad()
def test_reading_averages_is_reading_the_joint_features(hidden: int, novel: bool, remembers: bool) -> None:
    model, images = classifier(hidden, novel), torch.rand(3, 3, SIZE, SIZE)
    if remembers:
        remembering(model, torch.rand(4, 3, SIZE, SIZE))
    averages = model.features.averages(images)
    features = model.features.join(averages)
    novelty = model.novelty(features) if model.novelty else None
    logits, scores = model.read(features, novelty)
    assert logits.shape == (3, 3)
    assert scores.shape == (3, 3, *model.features.grid(SIZE))
    torch.testing.assert_close(model.read_averages(averages, novelty), (logits, scores), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(model(images), logits)


@torch.no_grad()
def test_what_is_strange_to_clean_images_speaks_for_every_class_but_not_while_training() -> None:
    model, images = classifier(), torch.rand(2, 3, SIZE, SIZE)
    averages = model.features.averages(images)
    features = model.features.join(averages)
    plain = model.read(features, None)[0]
    memory = remembering(model, torch.rand(4, 3, SIZE, SIZE))
    added = memory.strangeness(features)
    assert 0 < added.abs().max() <= 3
    torch.testing.assert_close(model.read(features, None)[0], plain + added[:, None])
    model.train()
    model.features.eval()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        trained = model.read_averages(averages, None)[0]
        torch.manual_seed(0)
        model.memory = None
        torch.testing.assert_close(model.read_averages(averages, None)[0], trained, rtol=0, atol=0)


@pytest.mark.parametrize("known", [True, False])
def test_the_logits_gradient_is_finite_even_for_an_image_that_is_remembered(known: bool) -> None:
    model, images = classifier(), torch.rand(1, 3, SIZE, SIZE)
    others = torch.rand(2, 3, SIZE, SIZE)
    memory = remembering(model, torch.cat([images, others]) if known else others)
    memory.usual.fill_(0)
    memory.spread.fill_(100)
    images.requires_grad_()
    features = model.features(images)
    (gradient,) = torch.autograd.grad(memory.strangeness(features).sum(), images, retain_graph=True)
    assert gradient.isfinite().all()
    assert known or gradient.abs().max() > 0
    (gradient,) = torch.autograd.grad(model(images)[0, 0], images)
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0


@torch.no_grad()
def test_the_logits_of_a_model_with_a_memory_can_be_explained_and_exported() -> None:
    model, images = classifier(), torch.rand(2, 3, SIZE, SIZE)
    remembering(model, torch.rand(4, 3, SIZE, SIZE))
    exported = torch.export.export(model, (images,)).module()
    torch.testing.assert_close(exported(images), model(images))
    logits, relevance = lrp.compile(model, images, "epsilon_plus", sizes=False)(images, 1)
    torch.testing.assert_close(logits, model(images))
    assert relevance.isfinite().all()


@torch.no_grad()
def test_starting_again_gives_another_head_on_the_same_features() -> None:
    model, images = classifier(), torch.rand(2, 3, SIZE, SIZE)
    before = deepcopy(model.state_dict())
    features, logits = model.features(images), model(images)
    model.pooling.sharpness.fill_(9)
    model.start_again()
    torch.testing.assert_close(model.features(images), features, rtol=0, atol=0)
    assert not torch.allclose(model(images), logits)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"head.1.weight", "head.1.bias", "head.4.weight", "head.4.bias"}


def test_without_novelty_nothing_guides() -> None:
    assert classifier(novel=False).pooling.guidance.tolist() == [0, 0, 0]


class Read(nn.Module):
    """The scores of a guided classifier, read with given shares of places instead of its gate."""

    def __init__(self, model: GuidedClassifier, shares: Tensor) -> None:
        super().__init__()
        self.features, self.head = model.features, model.head
        self.register_buffer("shares", shares)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = (self.shares * self.head(self.features(images)).flatten(2)).sum(2)
        return logits


def test_novelty_and_pooling_tell_where_to_look_but_receive_no_relevance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("relmask.models.pooling.SURPRISE", 0.0)  # what novelty adds to the logits is its own
    model, images = classifier(), torch.rand(2, 3, SIZE, SIZE)
    assert model.novelty is not None
    with torch.no_grad():
        features = model.features(images)
        shares = model.pooling.weights(model.head(features), model.novelty(features))
    logits, relevance = lrp.compile(model, images, "epsilon_plus", sizes=False)(images, 1)
    expected = lrp.compile(Read(model, shares), images, "epsilon_plus", sizes=False)(images, 1)
    torch.testing.assert_close(logits, expected[0])
    scale = float(expected[1].abs().max())
    torch.testing.assert_close(relevance / scale, expected[1] / scale, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(("power", "growth"), [(1.0, 4), (0.5, 2)])
def test_relevance_of_places_grows_by_the_power_of_their_scores(power: float, growth: float) -> None:
    model, images = classifier(hidden=0, novel=False), torch.rand(2, 3, SIZE, SIZE)

    def relevance() -> Tensor:
        explainer = lrp.compile(LocationEvidence(model, power).eval(), images, "relmask", sizes=False)
        found: Tensor = explainer(images, 0)[1]
        return found

    before = relevance()
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.mul_(4)
    torch.testing.assert_close(relevance(), growth * before, rtol=1e-3, atol=1e-5)
