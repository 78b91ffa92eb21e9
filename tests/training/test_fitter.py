from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric

from relmask.data.image_cache import ImageCache
from relmask.data.index import Index, read_index
from relmask.data.labelled import Labelled
from relmask.data.reading import Intensity
from relmask.inference.explained import ExplainedClassifier
from relmask.models import bundle
from relmask.models.guided import GuidedClassifier
from relmask.models.image_novelty import nearest_of_others
from relmask.progress import silent
from relmask.training.fitter import Fitter
from relmask.training.image_novelty import remember
from relmask.training.plan import Settings, plan
from relmask.training.sources import CachedFeatures, WholePictures

SIZE = 64


def fitter(index: Index, weights: Path | None, steps: int = 2) -> Fitter:
    settings = Settings(backbone="vgg-narrow", weights=weights, size=SIZE, epochs=1, batch_size=8)
    chosen = plan(settings, index.root, index, Intensity())
    assert chosen.architecture is not None
    model = bundle.build(chosen.architecture, len(index.classes), SIZE, weights=weights)
    if chosen.frozen:
        model.features.requires_grad_(False)
    fabric = Fabric(accelerator="cpu", devices=1)
    return Fitter(
        ExplainedClassifier(model, chosen.input, chosen.composite, fabric.device), chosen, fabric, 0, silent
    )


def labelled(index: Index, count: int = 24) -> Labelled:
    return Labelled.of(index.part("train")[:count], index.classes)


@pytest.fixture
def index(parts: Path, short_epochs: None) -> Index:
    return read_index(parts)


def frozen(index: Index, weights: Path, part: Labelled) -> tuple[Fitter, CachedFeatures, GuidedClassifier]:
    made = fitter(index, weights)
    source = made.source(ImageCache(part.samples, SIZE, Intensity()))
    assert isinstance(source, CachedFeatures)
    assert isinstance(made.network, GuidedClassifier)
    return made, source, made.network


def test_only_a_frozen_trunk_has_its_features_cached(index: Index, narrow_weights: Path) -> None:
    part = labelled(index, 4)
    frozen(index, narrow_weights, part)
    made = fitter(index, None)
    assert isinstance(made.source(ImageCache(part.samples, SIZE, Intensity())), WholePictures)


@torch.no_grad()
def test_the_statistics_make_features_standard_and_clean_images_usual(
    index: Index, narrow_weights: Path
) -> None:
    part = labelled(index)
    made, source, model = frozen(index, narrow_weights, part)
    made.fit_statistics(source, part.targets)
    everything = source.features(range(len(part.samples)))
    torch.testing.assert_close(
        everything.mean((0, 2, 3)), torch.zeros(model.features.channels), atol=1e-2, rtol=0
    )
    clean = [row for row in range(len(part.samples)) if not part.samples[row].labels]
    novelty = source.novelty(clean)
    assert novelty is not None
    assert novelty.shape[1] == 1
    assert abs(float(novelty.mean())) < 0.2


@torch.no_grad()
def test_the_novelty_refers_to_clean_images_alone(index: Index, narrow_weights: Path) -> None:
    part = labelled(index)
    clean = part.take([row for row, sample in enumerate(part.samples) if not sample.labels])
    found = []
    for chosen in (part, clean):
        made, source, model = frozen(index, narrow_weights, chosen)
        made.fit_novelty(model, source, chosen.targets, range(len(chosen.samples)))
        assert model.novelty is not None
        found.append(model.novelty.mean)
    torch.testing.assert_close(found[0], found[1], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_where_nothing_is_clean_all_images_are_the_reference(index: Index, narrow_weights: Path) -> None:
    part = labelled(index)
    defective = part.take([row for row, sample in enumerate(part.samples) if sample.labels])
    made, source, model = frozen(index, narrow_weights, defective)
    made.fit_statistics(source, defective.targets)
    assert all(value.isfinite().all() for value in model.state_dict().values())


def test_without_a_clean_class_a_class_is_novel_to_the_images_that_lack_it(
    index: Index, narrow_weights: Path
) -> None:
    nothing_clean = Index(index.root, index.samples, index.classes, None)
    part = labelled(nothing_clean)
    made, source, model = frozen(nothing_clean, narrow_weights, part)
    made.fit_statistics(source, part.targets)
    assert model.novelty is not None
    for group in range(len(index.classes)):
        lacking = [row for row in range(len(part.samples)) if not part.targets[row, group]]
        mean = source.features(lacking).mean((0, 2, 3))
        torch.testing.assert_close(model.novelty.mean[group], mean, atol=1e-3, rtol=1e-3)


def test_a_head_that_is_trained_without_a_fold_leaves_the_model_as_it_was(
    index: Index, narrow_weights: Path
) -> None:
    part = labelled(index)
    made, source, model = frozen(index, narrow_weights, part)
    made.fit_statistics(source, part.targets)
    remember(model, [source, source], [part, part])
    assert model.memory is not None
    before = {name: value.clone() for name, value in model.state_dict().items()}
    novelty = source.novelty([0])
    logits = made.fit_without(source, part, [0, 5, 7])
    assert logits.shape == (3, len(index.classes))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert novelty is not None
    torch.testing.assert_close(source.novelty([0]), novelty)
    assert torch.equal(made.fit_without(source, part, [0, 5, 7]), logits)


def test_a_held_out_picture_does_not_touch_the_head_that_judges_it(
    index: Index, narrow_weights: Path
) -> None:
    part = labelled(index)
    made, source, _ = frozen(index, narrow_weights, part)
    made.fit_statistics(source, part.targets)
    logits = made.fit_without(source, part, [0, 5])
    lies = Labelled(part.samples, part.targets.clone())
    lies.targets[[0, 5]] = 1 - lies.targets[[0, 5]]
    assert torch.equal(made.fit_without(source, lies, [0, 5]), logits)


def test_a_held_out_picture_is_strange_to_a_memory_that_lacks_its_group(
    index: Index, narrow_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = labelled(index)
    clean = [row for row in range(len(part.samples)) if not part.samples[row].labels]
    fold = [row for row in range(len(part.samples)) if part.groups[row] == part.groups[clean[0]]]
    made, source, model = frozen(index, narrow_weights, part)
    made.fit_statistics(source, part.targets)
    remember(model, [source, source], [part, part])
    logits = made.fit_without(source, part, fold)
    monkeypatch.setattr("relmask.models.guided.STRANGENESS", 0.0)
    added = logits - made.fit_without(source, part, fold)
    rest = [row for row in clean if row not in fold]
    kept = source.features(range(len(part.samples))).amax((2, 3))
    names = [str(part.groups[row]) for row in rest]
    others = nearest_of_others(kept[rest], names, kept[rest], names)
    middle, high = others.quantile(0.5), others.quantile(0.95)
    distance = torch.stack([(kept[row] - kept[rest]).norm(dim=1).min() for row in fold])
    expected = ((distance - middle) / (high - middle).clamp(min=0.1 * middle)).clamp(-3, 3)
    torch.testing.assert_close(added, expected[:, None].expand_as(added), atol=1e-2, rtol=1e-2)


def test_without_validation_pictures_training_goes_to_its_end(index: Index, tmp_path: Path) -> None:
    part, nothing = labelled(index), Labelled.of([], index.classes)
    made = fitter(index, None)
    sources = [made.source(ImageCache(one.samples, SIZE, Intensity())) for one in (part, nothing)]
    history = made.fit(sources, (part.targets, nothing.targets), tmp_path)
    assert history.best == len(history.epochs) - 1
