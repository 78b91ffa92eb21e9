import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import relmask
from relmask.data.image_cache import ImageCache
from relmask.data.index import read_index
from relmask.data.labelled import Labelled
from relmask.data.reading import Intensity
from relmask.inference.run import Run
from relmask.models import bundle
from relmask.models.guided import GuidedClassifier
from relmask.models.image_novelty import NearestImages
from relmask.synthetic.surfaces import save_image
from relmask.training.image_novelty import as_if_unseen, nearest_images, nearest_of_some
from relmask.training.sources import CachedFeatures, GuidedPictures

TINY = bundle.Architecture(
    backbone="vgg-narrow", taps=(2, 3), margin=32, stride=8, hidden=8, novelty_groups=0
)


def test_a_run_knows_its_training_pictures_again(trained: Run, parts: Path) -> None:
    loaded = relmask.load(trained.path)
    for sample in read_index(parts).part("train")[:4]:
        found = loaded.segment(sample.path)
        assert found.image_novelty == pytest.approx(0, abs=0.05)
        assert found.warning == ""


def test_few_clean_pictures_and_what_was_never_seen_are_unsure(
    trained: Run, parts: Path, tmp_path: Path
) -> None:
    clean = [sample for sample in read_index(parts).part("test") if not sample.labels]
    unsure = [bool(trained.segment(sample.path).warning) for sample in clean]
    assert sum(unsure) <= 0.2 * len(clean)
    y, x = np.mgrid[:64, :64]
    board = np.repeat(((x // 8 + y // 8) % 2)[..., None], 3, -1).astype(np.float32)
    found = trained.segment(board)
    assert found.image_novelty is not None
    assert found.image_novelty > 1
    assert found.warning == f"unlike all training pictures (novelty {found.image_novelty:.2f}, limit 1)"
    save_image(tmp_path / "in" / "board.png", board)
    with Image.open(tmp_path / "in" / "board.png") as picture:
        assert picture.size == (64, 64)
    relmask.segment_files(trained, [str(tmp_path / "in")], tmp_path / "out")
    with (tmp_path / "out" / "results.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["image_novelty"]) > 1
    assert row["warning"].startswith("unlike all training pictures")
    assert row["status"] == found.status


def test_a_run_that_knows_no_training_picture_warns_of_none(trained: Run, parts: Path) -> None:
    network = trained.model.network
    assert isinstance(network, GuidedClassifier)
    picture = read_index(parts).samples[0].path
    model = trained.classifier.with_network(GuidedClassifier(network.scores))
    unknown = Run(trained.path, trained.metadata, model).segment(picture)
    assert trained.segment(picture).image_novelty is not None
    assert (unknown.image_novelty, unknown.warning) == (None, "")


def nearest_of(run: Run) -> NearestImages:
    assert isinstance(run.model.network, GuidedClassifier)
    assert run.model.network.nearest is not None
    return run.model.network.nearest


def test_a_run_keeps_which_of_its_pictures_are_clean_and_how_far_apart_they_are(
    trained: Run, parts: Path
) -> None:
    made, loaded = nearest_of(trained), nearest_of(relmask.load(trained.path))
    clean = [not sample.labels for sample in read_index(parts).part("train")]
    assert torch.zeros(len(clean)).index_fill(0, loaded.clean, 1).bool().tolist() == clean
    for name, value in made.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
    assert loaded.clean_median > 0
    assert loaded.clean_spread >= 0.1 * loaded.clean_median


@torch.no_grad()
def test_the_logits_of_a_run_rise_with_the_distance_to_clean_pictures(trained: Run, parts: Path) -> None:
    model, network = trained.classifier, trained.model.network
    assert isinstance(network, GuidedClassifier)
    images = torch.cat([model.cut(trained.read(s.path))[0] for s in read_index(parts).part("test")[:4]])
    logits, novelty = model.predict(images)
    torch.testing.assert_close(model.logits(images), logits)
    features = network.features(model.normalise(images))
    without = model.with_network(GuidedClassifier(network.scores)).logits(images)
    added = nearest_of(trained)(features)
    torch.testing.assert_close(logits - without, added[:, None].expand_as(logits), atol=1e-4, rtol=1e-4)
    assert added.abs().max() > 0.1
    torch.testing.assert_close(novelty, nearest_of(trained).novelty(features))


@torch.no_grad()
def test_training_pictures_are_judged_as_if_their_groups_were_new(trained: Run, parts: Path) -> None:
    network, model = trained.model.network, trained.classifier
    assert isinstance(network, GuidedClassifier)
    nearest, size = nearest_of(trained), model.spec.size
    part = Labelled.of(read_index(parts).part("train"), trained.metadata.classes)
    pictures = ImageCache(part.samples, size, model.spec.intensity)
    source = GuidedPictures(network, pictures, model.normalise, model.device)
    added = as_if_unseen(network, source, part)[:, 0]
    features = source.features(range(len(pictures)))
    kept, clean = features.amax((2, 3)), part.targets.amax(1) == 0
    for row, group in enumerate(part.groups):
        others = [n for n in range(len(kept)) if clean[n] and part.groups[n] != group]
        distance = (kept[others] - kept[row]).norm(dim=1).min()
        unseen = ((distance - nearest.clean_median) / nearest.clean_spread).clamp(-3, 3)
        expected = unseen - nearest(features[row : row + 1])[0]
        assert float(added[row]) == pytest.approx(float(expected), abs=0.02)
    assert (added[clean] > 0.5).all()  # they would pass for far more clean


def test_there_is_no_clean_distance_where_features_were_trained_or_nothing_can_be_compared(
    parts: Path,
) -> None:
    index = read_index(parts)
    fitting = Labelled.of(index.part("train")[:12], index.classes)
    defective = fitting.take([n for n, sample in enumerate(fitting.samples) if sample.labels])
    alone = Labelled(tuple(replace(s, group="one") for s in fitting.samples), fitting.targets)
    model = bundle.build(TINY, len(index.classes), 64).eval()
    for part in (fitting, defective, alone):
        pictures = ImageCache(part.samples, 64, Intensity())
        cached = CachedFeatures(model, pictures, lambda images: images, torch.device("cpu"))
        whole = GuidedPictures(model, pictures, lambda images: images, torch.device("cpu"))
        assert bool(len(nearest_of_some(cached, part, range(len(part.samples))).clean)) == (part is fitting)
        found = nearest_images([whole, whole], [part, part])
        assert (found is None) == (part is alone)
        assert found is None or not len(found.clean)
