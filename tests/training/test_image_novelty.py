import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import relmask
from relmask.data.image_cache import ImageCache
from relmask.data.index import read_index
from relmask.data.labelled import Labelled
from relmask.data.reading import Intensity
from relmask.errors import RunError
from relmask.inference.run import Run
from relmask.models import bundle
from relmask.models.guided import GuidedClassifier
from relmask.models.image_novelty import Memory
from relmask.synthetic.surfaces import save_image
from relmask.training.image_novelty import as_if_unseen, memory_of_some, remember
from relmask.training.sources import CachedFeatures, WholePictures

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
    assert float(row["novelty"]) > 1
    assert row["unsure"].startswith("unlike all training pictures")
    assert row["status"] == found.label


def test_a_run_without_a_memory_is_not_unsure(trained: Run, parts: Path) -> None:
    run = relmask.load(trained.path)
    assert isinstance(run.model.network, GuidedClassifier)
    assert isinstance(run.model.network.memory, Memory)
    picture = read_index(parts).samples[0].path
    known = run.segment(picture)
    run.model.network.memory = None
    unknown = run.segment(picture)
    assert known.image_novelty is not None
    assert (unknown.image_novelty, unknown.warning) == (None, "")


def memory_of_run(run: Run) -> Memory:
    assert isinstance(run.model.network, GuidedClassifier)
    assert run.model.network.memory is not None
    return run.model.network.memory


def test_a_run_keeps_which_of_its_pictures_are_clean_and_what_is_usual(trained: Run, parts: Path) -> None:
    made, loaded = memory_of_run(trained), memory_of_run(relmask.load(trained.path))
    clean = [not sample.labels for sample in read_index(parts).part("train")]
    assert torch.zeros(len(clean)).index_fill(0, loaded.clean, 1).bool().tolist() == clean
    for name, value in made.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
    assert loaded.usual > 0
    assert loaded.spread >= 0.1 * loaded.usual


@torch.no_grad()
def test_logits_are_those_of_the_places_and_what_is_strange_of_the_whole(
    trained: Run, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, memory = trained.model, memory_of_run(trained)
    images = torch.cat([reader.cut(trained.read(s.path))[0] for s in read_index(parts).part("test")[:4]])
    logits, novelty = reader.predict(images)
    torch.testing.assert_close(reader.logits(images), logits)
    monkeypatch.setattr("relmask.models.guided.STRANGENESS", 0.0)
    without, same = reader.predict(images)
    assert isinstance(reader.network, GuidedClassifier)
    added = memory.strangeness(reader.network.features(reader.normalise(images)))
    torch.testing.assert_close(logits - without, added[:, None].expand_as(logits), atol=1e-4, rtol=1e-4)
    assert added.abs().max() > 0.1
    torch.testing.assert_close(novelty, same)


@torch.no_grad()
def test_training_pictures_are_judged_as_if_their_groups_were_not_remembered(
    trained: Run, parts: Path
) -> None:
    model, reader = trained.model.network, trained.model
    assert isinstance(model, GuidedClassifier)
    memory, size = memory_of_run(trained), reader.spec.size
    part = Labelled.of(read_index(parts).part("train"), trained.metadata.classes)
    pictures = ImageCache(part.samples, size, reader.spec.intensity)
    source = WholePictures(model, pictures, reader.normalise, reader.device)
    added = as_if_unseen(model, source, part)[:, 0]
    features = source.features(range(len(pictures)))
    kept, clean = features.amax((2, 3)), part.targets.amax(1) == 0
    for row, group in enumerate(part.groups):
        others = [n for n in range(len(kept)) if clean[n] and part.groups[n] != group]
        distance = (kept[others] - kept[row]).norm(dim=1).min()
        strangeness = ((distance - memory.usual) / memory.spread).clamp(-3, 3)
        expected = strangeness - memory.strangeness(features[row : row + 1])[0]
        assert float(added[row]) == pytest.approx(float(expected), abs=0.02)
    assert (added[clean] > 0.5).all()  # they would pass for far more clean


def test_nothing_is_usual_where_features_were_trained_or_nothing_can_be_compared(parts: Path) -> None:
    index = read_index(parts)
    fitting = Labelled.of(index.part("train")[:12], index.classes)
    defective = fitting.take([n for n, sample in enumerate(fitting.samples) if sample.labels])
    alone = Labelled(tuple(replace(s, group="one") for s in fitting.samples), fitting.targets)
    model = bundle.build(TINY, len(index.classes), 64).eval()
    for part in (fitting, defective, alone):
        pictures = ImageCache(part.samples, 64, Intensity())
        cached = CachedFeatures(model, pictures, lambda images: images, torch.device("cpu"))
        whole = WholePictures(model, pictures, lambda images: images, torch.device("cpu"))
        assert bool(len(memory_of_some(cached, part, range(len(part.samples))).clean)) == (part is fitting)
        model.memory = None
        remember(model, [whole, whole], [part, part])
        assert model.memory is None or not len(model.memory.clean)


def test_a_run_from_before_it_knew_what_is_usual_must_be_trained_again(trained: Run, tmp_path: Path) -> None:
    shutil.copytree(trained.path, tmp_path / "run")
    state = load_file(tmp_path / "run" / "model.safetensors")
    for name in ("clean", "usual", "spread"):
        del state[f"memory.{name}"]
    save_file(state, tmp_path / "run" / "model.safetensors")
    with pytest.raises(RunError, match=r"memory\.usual(.|\n)*Train again"):
        relmask.load(tmp_path / "run")
