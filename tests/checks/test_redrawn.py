import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from relmask.arrays import FloatArray
from relmask.checks.redrawn import RedrawnRelevance, RedrawnSegmentation, head_layers
from relmask.data.reading import Intensity
from relmask.inference.model import Model
from relmask.inference.run import Run
from relmask.inference.segmentation import SegmentationModel
from relmask.lrp.program import Program
from relmask.lrp.randomise import Cascade
from relmask.models.bundle import Input
from relmask.models.unet import unet

SIZE = 64


def map_of(model: Model, image: FloatArray) -> FloatArray:
    images, places = model.cut(image)
    passing = np.zeros((len(images), 2), bool)
    passing[:, 0] = True
    return model.maps(image, images, places, passing)[0]


@pytest.fixture
def image() -> FloatArray:
    return np.random.default_rng(0).random((SIZE, SIZE, 3), dtype=np.float32)


@pytest.fixture
def student() -> SegmentationModel:
    """A U-Net that was never trained."""
    torch.manual_seed(0)
    scale = Intensity(low=0, high=255)
    spec = Input(size=SIZE, windows=False, mean=(0, 0, 0), std=(1, 1, 1), intensity=scale)
    return SegmentationModel(unet("vgg-narrow", 2, pretrained=False), spec, torch.device("cpu"))


def test_the_head_is_the_last_layers_of_a_module_of_that_name_else_the_last_layer() -> None:
    assert head_layers(("trunk.0", "head.1", "head.4")) == 2
    assert head_layers(("head.0", "trunk.0", "head")) == 1
    assert head_layers(("features.0", "classifier")) == 1
    assert head_layers(("head.0", "head.1")) == 2


def test_layers_of_a_segmenter_are_redrawn_in_the_order_in_which_they_run(student: SegmentationModel) -> None:
    layers = RedrawnSegmentation(student).layers
    assert layers[0].startswith("encoder.")
    assert layers[-1] == "head.1"
    decoder = [path for path in layers if not path.startswith("encoder.")]
    steps = [path for path in decoder if path.startswith("steps.")]
    assert decoder[0].startswith("bottom")
    assert steps == sorted(steps, reverse=True)  # the deepest level is joined first
    assert head_layers(layers) == 2


def test_a_segmenter_loses_the_order_of_the_weights_of_its_last_layers(
    student: SegmentationModel, image: FloatArray
) -> None:
    before = copy.deepcopy(student.network.state_dict())
    redrawn = RedrawnSegmentation(student)
    whole, last, again, other, both = (
        redrawn.model(count, seed) for count, seed in ((0, 0), (1, 0), (1, 0), (1, 1), (2, 0))
    )
    assert np.array_equal(map_of(whole, image), map_of(student, image))
    assert np.array_equal(map_of(last, image), map_of(again, image))
    assert not np.allclose(map_of(last, image), map_of(other, image))
    changed = [
        name for name, value in last.network.state_dict().items() if not torch.equal(value, before[name])
    ]
    assert changed == ["head.1.weight"]  # its biases are all the same
    for name, value in both.network.state_dict().items():
        assert torch.equal(value.flatten().sort()[0], before[name].flatten().sort()[0])
    assert all(torch.equal(value, before[name]) for name, value in student.network.state_dict().items())


def test_batch_norm_is_redrawn_with_its_layer(student: SegmentationModel) -> None:
    (norm,) = (module for path, module in student.network.named_modules() if path == "head.0.1")
    norm.weight.data = torch.rand_like(norm.weight)
    before = norm.weight.clone()
    changed = RedrawnSegmentation(student).model(2, 0).network.state_dict()
    assert not torch.equal(changed["head.0.1.weight"], before)


def test_nothing_of_a_segmenter_is_passed_back(student: SegmentationModel, image: FloatArray) -> None:
    RedrawnSegmentation(student).way_back(image, 0, 0)


def test_relevance_of_redrawn_layers_goes_the_way_of_the_run(trained: Run, parts: Path) -> None:
    """With nothing redrawn the map is that of the run; with the head redrawn, another."""
    picture = trained.read(next(iter(sorted((parts / "images").iterdir()))))
    model, redrawn = trained.classifier, RedrawnRelevance(trained.classifier)
    images, places = model.cut(picture)
    passing = np.zeros((len(images), len(trained.metadata.classes)), bool)
    passing[:, 0] = True
    own, same, other = (
        of.support(of.maps(picture, images, places, passing), picture, {0: 0.0})[0]
        for of in (model, redrawn.model(0, 0), redrawn.model(head_layers(redrawn.layers), 0))
    )
    np.testing.assert_allclose(same, own, rtol=1e-2, atol=1e-3 * own.max())
    assert not np.allclose(other, own, rtol=1e-2, atol=1e-2 * own.max())


def test_weights_are_redrawn_once_for_all_mirrors_of_all_maps(
    trained: Run, image: FloatArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    make = Cascade._with_redrawn

    def counted(self: Cascade, count: int, seed: int) -> Program:
        drawn.append(count)
        return make(self, count, seed)

    monkeypatch.setattr(Cascade, "_with_redrawn", counted)
    model = RedrawnRelevance(trained.classifier).model(2, 0)
    assert np.array_equal(map_of(model, image), map_of(model, image))
    assert drawn == [2]


def test_scores_and_novelty_stay_while_relevance_is_redrawn(trained: Run) -> None:
    model = trained.classifier
    images = torch.rand(1, 3, SIZE, SIZE)
    other = RedrawnRelevance(model).model(35, 0).relevance_model
    assert other is not None
    assert torch.equal(other.logits(images), model.logits(images))
    one, two = (of.novelty_map(images, torch.tensor([0])) for of in (other, model))
    assert one is not None
    assert two is not None
    assert np.array_equal(one, two)
