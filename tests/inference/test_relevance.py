from functools import partial

import numpy as np
import pytest
import torch

from relmask.arrays import FloatArray
from relmask.errors import UsageError
from relmask.inference.relevance import RelevanceModel, smooth
from relmask.masks.settings import MaskSettings
from relmask.masks.support import support
from tests.relevance import Coloured

SIZE = 16


Bright = partial(Coloured, SIZE)


def picture(height: int = SIZE, width: int = SIZE) -> FloatArray:
    """Grey noise with a red and a green spot."""
    image = np.repeat(np.random.default_rng(0).random((height, width, 1), np.float32) * 0.1, 3, axis=-1)
    image[2:7, 3:9, 0] = image[9:13, 8:14, 1] = 1
    return image


def maps_of(model: RelevanceModel, image: FloatArray) -> dict[int, FloatArray]:
    images, places = model.cut(image)
    return model.maps(image, images, places, np.ones((len(images), 2), bool))


@pytest.mark.parametrize("windows", [True, False])
def test_maps_are_smoothed_as_the_masks_want_it_and_an_explanation_is_not(windows: bool) -> None:
    image = picture(SIZE, 40) if windows else picture()
    model = Bright(windows=windows, masks=MaskSettings(smoothing=1.5))
    images, places = model.cut(image)
    plain = model.explain(image, images, places, 0)
    np.testing.assert_allclose(plain, image[..., 0], atol=1e-6)
    np.testing.assert_allclose(maps_of(model, image)[0], smooth(plain, 1.5), atol=1e-6)
    np.testing.assert_allclose(maps_of(Bright(windows=windows), image)[0], plain, atol=1e-6)


def test_of_a_resized_picture_relevance_is_smoothed_at_the_scale_of_the_input() -> None:
    image = picture().repeat(4, axis=0).repeat(4, axis=1)
    found = maps_of(Bright(masks=MaskSettings(smoothing=1.0)), image)[0]
    assert found.shape == (64, 64)
    spot = found[8:28, 12:36]  # of 20 by 24 pixels: 4 pixels wide is what 1 pixel of the input becomes
    assert spot.max() > 0.9
    assert 0.2 < found[18, 10] < 0.8


def test_classes_that_no_window_passes_have_no_map() -> None:
    image, model = picture(SIZE, 40), Bright(windows=True)
    images, places = model.cut(image)
    passing = np.zeros((len(images), 2), bool)
    passing[-1, 1] = True
    found = model.maps(image, images, places, passing)
    assert list(found) == [1]
    assert not found[1][:, : places[-1].left].any()
    assert model.maps(image, images, places, np.zeros_like(passing)) == {}


def test_support_is_that_of_the_runs_settings_class_by_class() -> None:
    image, settings = picture(), MaskSettings(own=0.5)
    model = Bright(masks=settings)
    maps = maps_of(model, image)
    floors = {0: 0.0, 1: float(np.median(maps[1]))}
    found = model.support(maps, image, floors)
    assert list(found) == [0, 1]
    for k, values in found.items():
        assert np.array_equal(values, support(maps[k], image, settings, floors[k]))
    assert model.unit == "Otsu's threshold"
    assert model.cut_scale == 3


def test_without_settings_masks_are_cut_from_relevance_itself() -> None:
    image, model = picture(), Bright()
    maps = maps_of(model, image)
    assert model.support(maps, image, {}) is maps
    assert model.unit == "logits a pixel"
    assert model.cut_scale == model.full_scale == 100 / SIZE**2


def test_smoothing_keeps_the_sum_away_from_the_border() -> None:
    relevance = np.zeros((2, 41, 41), np.float32)
    relevance[0, 20, 20] = 3
    found = smooth(relevance, 2.0)
    assert found.dtype == np.float32
    assert found[0].sum() == pytest.approx(3, rel=1e-4)
    assert found[0].max() < 1
    assert not found[1].any(), "maps do not run into each other"
    assert smooth(relevance, 0) is relevance


def test_what_has_no_rules_says_so() -> None:
    with pytest.raises(UsageError, match="no composite to choose"):
        Bright().with_composite("relmask")
    with pytest.raises(UsageError, match="no table of them"):
        Bright().describe(torch.zeros(1, 3, SIZE, SIZE), 0)
