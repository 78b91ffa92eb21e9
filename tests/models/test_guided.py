from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from relmask import lrp
from relmask.models.features import Features
from relmask.models.guided import GuidedClassifier, GuidedScores, LocationEvidence
from relmask.models.image_novelty import NearestImages, descriptors
from relmask.models.novelty import Novelty
from relmask.models.zoo import trunk

SIZE = 64


def scores(hidden: int = 8, novel: bool = True, margin: int = 32) -> GuidedScores:
    features = Features(trunk("vgg-narrow"), margin)
    images = torch.rand(8, 3, SIZE, SIZE)
    features.fit([features.averages(images)])
    novelty = Novelty(features.channels, features.grid(SIZE)) if novel else None
    model = GuidedScores(features, 3, novelty, hidden).eval()
    with torch.no_grad():
        if model.novelty:
            model.novelty.fit(0, lambda: [model.features(images)])
    return model


@torch.no_grad()
def nearest(model: GuidedScores, images: Tensor) -> NearestImages:
    """Images that were trained on, all of them clean."""
    made = NearestImages(len(images), model.features.channels, clean=len(images))
    made.seen.copy_(descriptors(model.features(images)))
    made.clean.copy_(torch.arange(len(images)))
    made.clean_median.fill_(4)
    made.clean_spread.fill_(2)
    return made


@pytest.mark.parametrize("hidden", [0, 8])
@pytest.mark.parametrize("novel", [True, False])
@torch.no_grad()
def test_reading_averages_is_reading_the_joint_features(hidden: int, novel: bool) -> None:
    model, images = scores(hidden, novel), torch.rand(3, 3, SIZE, SIZE)
    averages = model.features.averages(images)
    features = model.features.join(averages)
    novelty = model.novelty_of(features)
    logits, maps = model.read(features, novelty)
    assert logits.shape == (3, 3)
    assert maps.shape == (3, 3, *model.features.grid(SIZE))
    torch.testing.assert_close(model.read_averages(averages, novelty), (logits, maps), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(model(images), logits)


@pytest.mark.parametrize("novel", [True, False])
@torch.no_grad()
def test_novelty_raises_the_logits_of_trained_scores(novel: bool) -> None:
    model, images = scores(novel=novel), torch.rand(2, 3, SIZE, SIZE)
    whole = nearest(model, torch.rand(4, 3, SIZE, SIZE))
    features = model.features(images)
    novelty = model.novelty_of(features)
    expected = model(images) + whole(features)[:, None]
    if novelty is not None:
        expected += 0.3 * (novelty.flatten(2).softmax(2) * novelty.flatten(2)).sum(2)
    found = GuidedClassifier(model, whole)(images)
    torch.testing.assert_close(found, expected)
    assert (found - model(images)).abs().min() > 0.1
    assert torch.equal(GuidedClassifier(model, whole).logits(features), found)


@pytest.mark.parametrize("module", [scores, lambda: GuidedClassifier(scores())])
@torch.no_grad()
def test_training_mode_changes_no_more_than_dropout(module: Callable[[], nn.Module]) -> None:
    model, images = module(), torch.rand(2, 3, SIZE, SIZE)
    expected = model.eval()(images)
    model.train()
    for part in model.modules():
        if isinstance(part, nn.Dropout2d | nn.BatchNorm2d):
            part.eval()
    assert torch.equal(model(images), expected)


@pytest.mark.parametrize("known", [True, False])
def test_the_logits_gradient_is_finite_even_for_an_image_that_was_trained_on(known: bool) -> None:
    model, images = scores(), torch.rand(1, 3, SIZE, SIZE)
    others = torch.rand(2, 3, SIZE, SIZE)
    whole = nearest(model, torch.cat([images, others]) if known else others)
    whole.clean_median.fill_(0)
    whole.clean_spread.fill_(100)
    images.requires_grad_()
    features = model.features(images)
    (gradient,) = torch.autograd.grad(whole(features).sum(), images, retain_graph=True)
    assert gradient.isfinite().all()
    assert known or gradient.abs().max() > 0
    (gradient,) = torch.autograd.grad(GuidedClassifier(model, whole)(images)[0, 0], images)
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0


@torch.no_grad()
def test_the_logits_of_a_run_can_be_explained_and_exported() -> None:
    trained, images = scores(), torch.rand(2, 3, SIZE, SIZE)
    model = GuidedClassifier(trained, nearest(trained, torch.rand(4, 3, SIZE, SIZE))).eval()
    exported = torch.export.export(model, (images,)).module()
    torch.testing.assert_close(exported(images), model(images))
    logits, relevance = lrp.compile(model, images, "epsilon_plus", sizes=False)(images, 1)
    torch.testing.assert_close(logits, model(images))
    assert relevance.isfinite().all()


@torch.no_grad()
def test_starting_again_gives_another_head_on_the_same_features() -> None:
    model, images = GuidedClassifier(scores()), torch.rand(2, 3, SIZE, SIZE)
    before = deepcopy(model.state_dict())
    features, logits = model.features(images), model(images)
    model.scores.pooling.sharpness.fill_(9)
    model.start_again()
    torch.testing.assert_close(model.features(images), features, rtol=0, atol=0)
    assert not torch.allclose(model(images), logits)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {f"scores.head.{name}" for name in ("1.weight", "1.bias", "4.weight", "4.bias")}


@torch.no_grad()
def test_an_untrained_twin_shares_the_features_and_nothing_else() -> None:
    model = scores()
    before = deepcopy(model.state_dict())
    twin = model.untrained()
    assert twin.features is model.features
    own = {parameter.data_ptr() for parameter in model.features.state_dict().values()}
    theirs = {name: value for name, value in twin.state_dict().items() if value.data_ptr() not in own}
    assert all(name.startswith(("novelty.", "head.", "pooling.")) for name in theirs)
    for value in theirs.values():
        value.fill_(7)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_without_novelty_nothing_guides() -> None:
    assert scores(novel=False).pooling.guidance.tolist() == [0, 0, 0]


class Read(nn.Module):
    """Guided scores, read with given shares of places instead of its gate."""

    def __init__(self, model: GuidedScores, shares: Tensor) -> None:
        super().__init__()
        self.features, self.head = model.features, model.head
        self.register_buffer("shares", shares)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = (self.shares * self.head(self.features(images)).flatten(2)).sum(2)
        return logits


def test_novelty_and_pooling_tell_where_to_look_but_receive_no_relevance() -> None:
    model, images = scores(), torch.rand(2, 3, SIZE, SIZE)
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
    model, images = scores(hidden=0, novel=False), torch.rand(2, 3, SIZE, SIZE)

    def relevance() -> Tensor:
        explainer = lrp.compile(LocationEvidence(model, power).eval(), images, "relmask", sizes=False)
        found: Tensor = explainer(images, 0)[1]
        return found

    before = relevance()
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.mul_(4)
    torch.testing.assert_close(relevance(), growth * before, rtol=1e-3, atol=1e-5)
