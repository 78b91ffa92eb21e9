from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from relmask.data.image_cache import ImageCache
from relmask.data.index import Sample
from relmask.data.reading import Intensity
from relmask.models import bundle
from relmask.models.bundle import Architecture
from relmask.models.guided import GuidedClassifier
from relmask.models.image_novelty import NearestImages
from relmask.training.sources import CachedFeatures, GuidedPictures, Part, WholePictures

SIZE = 64
CPU = torch.device("cpu")


def sample(path: Path) -> Sample:
    return Sample(path, path.name, frozenset(), path.name)


@pytest.fixture
def pictures(tmp_path: Path) -> ImageCache:
    rng = np.random.default_rng(0)
    samples = []
    for number in range(5):
        path = tmp_path / f"{number}.png"
        Image.fromarray(rng.integers(0, 255, (SIZE, SIZE, 3), np.uint8)).save(path)
        samples.append(sample(path))
    return ImageCache(samples, SIZE, Intensity())


@pytest.fixture
def model() -> GuidedClassifier:
    architecture = Architecture(
        backbone="vgg-narrow", taps=(2, 3), stride=4, margin=32, hidden=8, novelty_groups=1
    )
    built = bundle.build(architecture, 2, SIZE).eval()
    built.features.requires_grad_(False)
    return built


def centred(images: Tensor) -> Tensor:
    return images - 0.5


@torch.no_grad()
def test_cached_features_predict_what_the_whole_model_does(
    model: GuidedClassifier, pictures: ImageCache
) -> None:
    nearest = NearestImages(2, model.features.channels, clean=2)
    nearest.clean.copy_(torch.arange(2))
    model = GuidedClassifier(model.scores, nearest).eval()
    cached = CachedFeatures(model, pictures, centred, CPU)
    whole = GuidedPictures(model, pictures, centred, CPU)
    any_network = WholePictures(model, pictures, centred, CPU)
    one, other = (source.predict([3, 0], None) for source in (cached, whole))
    torch.testing.assert_close(one.logits, other.logits, atol=2e-3, rtol=2e-2)
    torch.testing.assert_close(one.locations, other.locations, atol=2e-3, rtol=2e-2)
    assert (cached.logits([3, 0]) - one.logits).abs().min() > 0.01, "novelty adds to what is trained"
    for source in (whole, any_network):
        torch.testing.assert_close(cached.logits([3, 0]), source.logits([3, 0]), atol=2e-3, rtol=2e-2)


@pytest.mark.parametrize("source", [CachedFeatures, GuidedPictures, WholePictures])
@torch.no_grad()
def test_a_generator_augments_and_repeats(
    source: Callable[..., CachedFeatures], model: GuidedClassifier, pictures: ImageCache
) -> None:
    predict = source(model, pictures, centred, CPU).predict
    found = [predict([0, 1], torch.Generator().manual_seed(seed)).logits for seed in range(4)]
    again = predict([0, 1], torch.Generator().manual_seed(2)).logits
    assert torch.equal(found[2], again)
    assert any(not torch.equal(found[0], other) for other in found[1:])


@torch.no_grad()
def test_novelty_is_mirrored_with_the_features(model: GuidedClassifier, pictures: ImageCache) -> None:
    assert model.novelty is not None
    model.novelty.typical.copy_(torch.arange(256.0).view(1, 16, 16) / 64)
    source = CachedFeatures(model, pictures, centred, CPU)
    plain = source.predict([0], None)
    for seed in range(8):  # whichever way it is mirrored, the same places are looked at
        mirrored = source.predict([0], torch.Generator().manual_seed(seed))
        torch.testing.assert_close(mirrored.logits, plain.logits, atol=1e-4, rtol=1e-3)


@torch.no_grad()
def test_features_past_the_memory_are_computed_again_and_equal(
    model: GuidedClassifier, pictures: ImageCache
) -> None:
    averages = CachedFeatures(model, pictures, centred, CPU).averages([0])
    one = sum(tap.numel() * 2 for tap in averages)
    unbounded = CachedFeatures(model, pictures, centred, CPU).predict([4, 1, 2], None)
    for memory in (0, one, 2 * one):
        source = CachedFeatures(model, pictures, centred, CPU, memory)
        for _ in range(2):
            assert torch.equal(source.predict([4, 1, 2], None).logits, unbounded.logits)


@torch.no_grad()
def test_the_same_picture_may_be_drawn_twice(model: GuidedClassifier, pictures: ImageCache) -> None:
    for memory in (0, 6_000_000_000):
        logits = CachedFeatures(model, pictures, centred, CPU, memory).predict([2, 2], None).logits
        assert torch.equal(logits[0], logits[1])


@torch.no_grad()
def test_novelty_is_computed_anew_only_when_asked_to(model: GuidedClassifier, pictures: ImageCache) -> None:
    source = CachedFeatures(model, pictures, centred, CPU)
    assert model.novelty is not None
    before = source.novelty([0])
    model.novelty.typical.add_(1)
    assert before is not None
    torch.testing.assert_close(source.novelty([0]), before, rtol=0, atol=0)
    source.forget_novelty()
    after = source.novelty([0])
    assert after is not None
    assert not torch.equal(after, before)


@torch.no_grad()
def test_another_network_reads_the_same_features(model: GuidedClassifier, pictures: ImageCache) -> None:
    source = CachedFeatures(model, pictures, centred, CPU)
    before = source.logits([0, 1])
    other = GuidedClassifier(model.scores.untrained()).eval()
    assert other.novelty is not None
    other.novelty.typical.add_(1)
    read = source.read_by(other)
    whole = GuidedPictures(other, pictures, centred, CPU)
    torch.testing.assert_close(read.logits([0, 1]), whole.logits([0, 1]), atol=2e-3, rtol=2e-2)
    assert not torch.allclose(read.logits([0, 1]), before, atol=0.05)
    assert torch.equal(source.logits([0, 1]), before)


@torch.no_grad()
def test_a_part_numbers_its_pictures_anew(model: GuidedClassifier, pictures: ImageCache) -> None:
    source = CachedFeatures(model, pictures, centred, CPU)
    part = Part(source, [4, 1])
    assert torch.equal(part.logits([1, 0]), source.logits([1, 4]))
    assert torch.equal(part.predict([1, 0], None).logits, source.predict([1, 4], None).logits)
