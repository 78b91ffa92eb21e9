import numpy as np
import pytest
import torch
from torch import nn

from relmask.data.reading import Intensity
from relmask.evaluation.comparison.baselines import ControlModel, NeighbourModel, coreset
from relmask.evaluation.controls import Control
from relmask.models.bundle import Input

SPEC = Input(size=64, windows=False, mean=(0,) * 3, std=(1,) * 3, intensity=Intensity())
CPU = torch.device("cpu")


def test_a_control_sees_the_picture_in_its_own_size() -> None:
    reader = ControlModel(Control("red", lambda image: image[..., 0] - 0.5), SPEC, CPU)
    picture = np.random.default_rng(0).random((20, 30, 3)).astype(np.float32)
    images, places = reader.cut(picture)
    assert reader.logits(images).item() == pytest.approx(picture[..., 0].max() - 0.5)
    found = reader.maps(picture, images, places, np.array([[True]]))[0]
    np.testing.assert_allclose(found, (picture[..., 0] - 0.5).clip(0), atol=1e-6)


def test_a_coreset_leaves_no_cluster_out() -> None:
    centres = 100 * torch.randn(10, 8, generator=torch.Generator().manual_seed(0))
    points = (centres[:, None] + torch.randn(10, 50, 8)).flatten(0, 1)
    chosen = coreset(points, 10, torch.Generator().manual_seed(0))
    assert torch.cdist(points, chosen).amin(1).max() < 20
    assert coreset(points, 1000, torch.Generator()) is points


def test_neighbours_find_what_clean_pictures_lack() -> None:
    rng = np.random.default_rng(0)
    clean = torch.from_numpy(rng.normal(0.6, 0.03, (6, 3, 64, 64)).astype(np.float32)).clip(0, 1)
    reader = NeighbourModel(SPEC, CPU)
    assert isinstance(reader.network, nn.Module)
    reader.learn(lambda numbers: clean[list(numbers)], 5)
    spoilt = clean[5:].clone()
    spoilt[:, :, 24:40, 8:24] = 0.1
    before, after = reader.logits(torch.cat([clean[5:], spoilt])).squeeze(1).tolist()
    assert after > 1.5 * before
    found = reader.relevance(spoilt, torch.zeros(1))[0]
    assert found.shape == (64, 64)
    row, column = divmod(int(found.argmax()), 64)
    assert 20 <= row < 44
    assert 4 <= column < 28
