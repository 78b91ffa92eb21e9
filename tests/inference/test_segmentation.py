import numpy as np
import pytest
import torch

from relmask.data.reading import Intensity
from relmask.errors import UsageError
from relmask.inference.model import MIRRORS
from relmask.inference.segmentation import SegmentationModel
from relmask.models.bundle import Input
from relmask.models.unet import image_logits, unet


def test_a_segmenter_gives_the_maps_of_all_classes_from_one_look() -> None:
    torch.manual_seed(0)
    network = unet("vgg-narrow", 3).eval()
    spec = Input(size=32, windows=True, mean=(0, 0, 0), std=(1, 1, 1), intensity=Intensity())
    model = SegmentationModel(network, spec, torch.device("cpu"), batch_size=2)
    picture = np.random.default_rng(0).random((48, 40, 3)).astype(np.float32)
    images, places = model.cut(picture)
    passing = np.ones((len(images), 3), bool)
    passing[0, 1] = passing[:, 2] = False
    seen: list[int] = []
    network.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
    found = model.maps(picture, images, places, passing)
    assert sum(seen) == len(MIRRORS) * len(images)
    assert list(found) == [0, 1]
    for k, values in found.items():
        np.testing.assert_allclose(
            values, model.explain(picture, images, places, k, passing[:, k]), atol=1e-6
        )
    assert model.logits(images).shape == image_logits(network(images)).shape


def test_the_probability_of_one_class_is_that_of_its_map() -> None:
    torch.manual_seed(0)
    spec = Input(size=32, windows=False, mean=(0, 0, 0), std=(1, 1, 1), intensity=Intensity())
    model = SegmentationModel(unet("vgg-narrow", 3), spec, torch.device("cpu"), batch_size=2)
    picture = np.random.default_rng(0).random((32, 32, 3)).astype(np.float32)
    images, places = model.cut(picture)
    maps = model.maps(picture, images, places, np.ones((1, 3), bool))
    found = model.relevance(images.repeat(3, 1, 1, 1), torch.arange(3))
    for k, values in maps.items():
        np.testing.assert_allclose(found[k], values, atol=1e-6)
        assert 0 < values.min() <= values.max() < 1


def test_a_student_has_no_rules_to_show_or_to_change() -> None:
    spec = Input(size=32, windows=False, mean=(0, 0, 0), std=(1, 1, 1), intensity=Intensity())
    model = SegmentationModel(unet("vgg-narrow", 3), spec, torch.device("cpu"))
    with pytest.raises(UsageError, match="no table"):
        model.describe(torch.zeros(1, 3, 32, 32), 0)
    with pytest.raises(UsageError, match="no composite"):
        model.with_composite("epsilon_plus")
