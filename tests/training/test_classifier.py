from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from relmask.data.index import Index, read_index
from relmask.data.labelled import Labelled
from relmask.data.reading import Intensity
from relmask.inference.explained import ExplainedClassifier
from relmask.models import bundle
from relmask.models.image_novelty import nearest_of_others
from relmask.progress import silent
from relmask.training.arithmetic import Arithmetic
from relmask.training.classifier import (
    Fitter,
    FrozenFitter,
    GuidedFitter,
    fitter_of,
    loss_of,
    negatives,
    predict_logits,
    sampling_weights,
)
from relmask.training.plan import Settings, plan
from relmask.training.sources import CachedFeatures, GuidedPictures, Prediction, WholePictures
from tests.effort import LITTLE

SIZE = 64


def fitter(index: Index, weights: Path | None, part: Labelled, *, own: nn.Module | None = None) -> Fitter:
    """Trains on a part and validates on nothing."""
    settings = Settings(backbone="vgg-narrow", weights=weights, size=SIZE, epochs=1, batch_size=8)
    chosen = plan(settings, index.root, index, Intensity(), own=own is not None, effort=LITTLE)
    network = own
    if chosen.architecture is not None:
        network = bundle.build(chosen.architecture, len(index.classes), SIZE, weights=weights)
        network.features.requires_grad_(not chosen.frozen)
    assert network is not None
    cpu = Arithmetic(torch.device("cpu"))
    model = ExplainedClassifier(network, chosen.input, chosen.composite, cpu.device)
    nothing = Labelled.of([], index.classes)
    return fitter_of(model, chosen, cpu, 0, silent, part, nothing)


def labelled(index: Index, count: int = 24) -> Labelled:
    return Labelled.of(index.part("train")[:count], index.classes)


@pytest.fixture
def index(parts: Path) -> Index:
    return read_index(parts)


def frozen(index: Index, weights: Path, part: Labelled) -> FrozenFitter:
    made = fitter(index, weights, part)
    assert isinstance(made, FrozenFitter)
    made.fit_statistics()
    return made


def test_only_a_frozen_trunk_has_its_features_cached(index: Index, narrow_weights: Path) -> None:
    part = labelled(index, 4)
    for made, source in (
        (fitter(index, narrow_weights, part), CachedFeatures),
        (fitter(index, None, part), GuidedPictures),
        (fitter(index, None, part, own=nn.Conv2d(3, 3, 1)), WholePictures),
    ):
        assert [type(one) for one in made.sources] == [source, source]


@torch.no_grad()
def test_the_statistics_make_features_standard_and_clean_images_usual(
    index: Index, narrow_weights: Path
) -> None:
    part = labelled(index)
    made = frozen(index, narrow_weights, part)
    source = made.sources[0]
    everything = source.features(range(len(part.samples)))
    zeros = torch.zeros(made.network.features.channels)
    torch.testing.assert_close(everything.mean((0, 2, 3)), zeros, atol=1e-2, rtol=0)
    clean = [row for row in range(len(part.samples)) if not part.samples[row].labels]
    novelty = source.novelty(clean)
    assert novelty is not None
    assert novelty.shape[1] == 1
    assert abs(float(novelty.mean())) < 0.2


@torch.no_grad()
def test_the_novelty_refers_to_clean_images_alone(index: Index, narrow_weights: Path) -> None:
    part = labelled(index)
    made = frozen(index, narrow_weights, part)
    clean = [row for row, sample in enumerate(part.samples) if not sample.labels]
    mean = made.sources[0].features(clean).mean((0, 2, 3))
    assert made.network.novelty is not None
    torch.testing.assert_close(made.network.novelty.mean[0], mean, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_where_nothing_is_clean_all_images_are_the_reference(index: Index, narrow_weights: Path) -> None:
    part = labelled(index)
    defective = part.take([row for row, sample in enumerate(part.samples) if sample.labels])
    made = frozen(index, narrow_weights, defective)
    assert all(value.isfinite().all() for value in made.network.state_dict().values())


def test_without_a_clean_class_a_class_is_novel_to_the_images_that_lack_it(
    index: Index, narrow_weights: Path
) -> None:
    nothing_clean = Index(index.root, index.samples, index.classes, None)
    part = labelled(nothing_clean)
    made = frozen(nothing_clean, narrow_weights, part)
    assert made.network.novelty is not None
    for group in range(len(index.classes)):
        lacking = [row for row in range(len(part.samples)) if not part.targets[row, group]]
        mean = made.sources[0].features(lacking).mean((0, 2, 3))
        torch.testing.assert_close(made.network.novelty.mean[group], mean, atol=1e-3, rtol=1e-3)


def test_training_leaves_a_model_with_novelty_on_top_of_what_was_trained(
    index: Index, narrow_weights: Path, tmp_path: Path
) -> None:
    for number, weights in enumerate((narrow_weights, None)):
        made = fitter(index, weights, labelled(index))
        assert isinstance(made, GuidedFitter)
        scores = made.network.scores
        made.fit(tmp_path / str(number))
        assert made.model.network is made.network
        assert made.network.scores is scores
        assert made.network.nearest is not None
        assert bool(len(made.network.nearest.clean)) == (weights is not None)


def test_a_head_that_is_trained_without_a_fold_leaves_the_model_as_it_was(
    index: Index, narrow_weights: Path
) -> None:
    part = labelled(index)
    made = frozen(index, narrow_weights, part)
    before = {name: value.clone() for name, value in made.network.state_dict().items()}
    novelty = made.sources[0].novelty([0])
    logits = made.fit_without([0, 5, 7])
    assert logits.shape == (3, len(index.classes))
    assert all(torch.equal(value, before[name]) for name, value in made.network.state_dict().items())
    assert novelty is not None
    torch.testing.assert_close(made.sources[0].novelty([0]), novelty)
    assert torch.equal(made.fit_without([0, 5, 7]), logits)


def test_a_held_out_picture_does_not_touch_the_head_that_judges_it(
    index: Index, narrow_weights: Path
) -> None:
    part = labelled(index)
    made = frozen(index, narrow_weights, part)
    logits = made.fit_without([0, 5])
    lies = Labelled(part.samples, part.targets.clone())
    lies.targets[[0, 5]] = 1 - lies.targets[[0, 5]]
    made.training = lies
    assert torch.equal(made.fit_without([0, 5]), logits)


def test_a_held_out_picture_is_compared_with_clean_ones_of_other_groups(
    index: Index, narrow_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = labelled(index)
    clean = [row for row in range(len(part.samples)) if not part.samples[row].labels]
    fold = [row for row in range(len(part.samples)) if part.groups[row] == part.groups[clean[0]]]
    made = frozen(index, narrow_weights, part)
    logits = made.fit_without(fold)
    monkeypatch.setattr("relmask.models.novelty_score.IMAGE_WEIGHT", 0.0)
    added = logits - made.fit_without(fold)
    rest = [row for row in clean if row not in fold]
    kept = made.sources[0].features(range(len(part.samples))).amax((2, 3))
    names = [str(part.groups[row]) for row in rest]
    others = nearest_of_others(kept[rest], names, kept[rest], names)
    middle, high = others.quantile(0.5), others.quantile(0.95)
    distance = torch.stack([(kept[row] - kept[rest]).norm(dim=1).min() for row in fold])
    expected = ((distance - middle) / (high - middle).clamp(min=0.1 * middle)).clamp(-3, 3)
    torch.testing.assert_close(added, expected[:, None].expand_as(added), atol=1e-2, rtol=1e-2)


def test_there_is_no_head_that_saw_no_group(index: Index, narrow_weights: Path) -> None:
    part = labelled(index)
    alone = Labelled(tuple(replace(sample, group="one") for sample in part.samples), part.targets)
    assert frozen(index, narrow_weights, alone).cross_fitted() is None
    assert fitter(index, None, part).cross_fitted() is None


def test_every_training_picture_is_judged_by_a_head_that_saw_no_picture_of_its_group(
    index: Index, narrow_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = labelled(index)
    made = frozen(index, narrow_weights, part)
    folds: list[Sequence[int]] = []

    def noted(fold: Sequence[int]) -> Tensor:
        folds.append(fold)
        return torch.full((len(fold), len(index.classes)), float(len(folds)))

    monkeypatch.setattr(made, "fit_without", noted)
    logits = made.cross_fitted()
    assert sorted(row for fold in folds for row in fold) == list(range(len(part.samples)))
    groups = [{part.groups[row] for row in fold} for fold in folds]
    assert not groups[0] & groups[1]
    assert logits is not None
    assert all((logits[fold] == number).all() for number, fold in enumerate(folds, start=1))


def test_without_validation_pictures_training_goes_to_its_end(index: Index, tmp_path: Path) -> None:
    made = fitter(index, None, labelled(index))
    history = made.fit(tmp_path)
    assert history.best == len(history.epochs) - 1
    training, validation = made.logits()
    assert (training.shape, validation.shape) == ((24, 3), (0, 3))


def test_rare_combinations_of_labels_are_drawn_more_often_but_not_as_often_as_all() -> None:
    targets = torch.tensor([[1.0, 0]] * 4 + [[0.0, 0]] * 16 + [[1.0, 1]])
    chances = sampling_weights(targets)
    sums = [float(chances[rows].sum()) for rows in (slice(0, 4), slice(4, 20), slice(20, 21))]
    assert sums == pytest.approx([2, 4, 1])


def test_every_place_that_cannot_show_a_class_pays() -> None:
    logits, places = torch.randn(2, 3), torch.randn(2, 3, 4, 5)
    targets = torch.tensor([[1.0, 0, 0], [0, 1, 1]])
    negative = torch.tensor([[0.0, 1, 0], [1, 0, 0]])
    expected = functional.binary_cross_entropy_with_logits(logits, targets)
    torch.testing.assert_close(loss_of(Prediction(logits, None), targets, negative, 3), expected)
    torch.testing.assert_close(loss_of(Prediction(logits, places), targets, negative, 0), expected)
    each = functional.binary_cross_entropy_with_logits(places, torch.zeros_like(places), reduction="none")
    absent = float(each[0, 1].sum() + each[1, 0].sum())
    found = loss_of(Prediction(logits, places), targets, negative, 3)
    assert float(found) == pytest.approx(float(expected) + 3 * absent / places.numel(), rel=1e-5)


def test_clean_pictures_are_negatives_of_all_classes_and_defects_of_none() -> None:
    targets = torch.tensor([[1.0, 0], [0, 0], [0, 1]])
    assert negatives(targets).tolist() == [[0, 0], [1, 1], [0, 0]]


def test_where_no_picture_is_clean_those_without_a_class_are_its_negatives() -> None:
    targets = torch.tensor([[1.0, 0], [0, 1], [1, 1]])
    assert negatives(targets).tolist() == [[0, 1], [1, 0], [0, 0]]


def test_logits_are_predicted_in_order_and_without_augmentation() -> None:
    points = torch.randn(7, 3)
    model = nn.Sequential(nn.Dropout(), nn.Linear(3, 2))

    class Points:
        def predict(self, indices: Sequence[int], generator: torch.Generator | None) -> Prediction:
            raise AssertionError("asked for what training lowers the loss of")

        def logits(self, indices: Sequence[int]) -> Tensor:
            found: Tensor = model(points[list(indices)])
            return found

    expected = model.eval()(points).detach()
    torch.testing.assert_close(predict_logits(model.train(), Points(), 7, 3), expected)
