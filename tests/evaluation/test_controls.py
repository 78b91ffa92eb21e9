import copy

import numpy as np
import pytest
import torch
from torch import nn

from relmask.data.reading import Intensity
from relmask.evaluation.controls import CONTROLS, Control, random_head
from relmask.inference.explained import ExplainedClassifier
from relmask.models.bundle import Input

SPEC = Input(size=32, windows=False, mean=(0, 0, 0), std=(1, 1, 1), intensity=Intensity())


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 6, 3, padding=1)
        self.head = nn.Linear(6, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(torch.relu(self.body(images)).mean((2, 3)))
        return logits


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_a_dark_spot_on_a_bright_plate_scores_highest(control: Control) -> None:
    image = np.full((60, 80, 3), 0.8, np.float32)
    image[30:33, 50:53] = 0.2
    scores = control.score(image)
    assert scores.shape == (60, 80)
    assert scores[31, 51] == pytest.approx(scores.max())
    assert scores[31, 51] > scores[5:20].max() + 0.1


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_images_smaller_than_a_tile_or_of_one_grey_are_scored(control: Control) -> None:
    for shape in ((5, 7), (16, 16), (33, 200)):
        scores = control.score(np.full((*shape, 3), 0.5, np.float32))
        assert scores.shape == shape
        assert np.isfinite(scores).all()


def test_a_random_head_forgets_the_training_and_leaves_the_model_alone() -> None:
    reader = ExplainedClassifier(Tiny(), SPEC, "epsilon_plus", torch.device("cpu"))
    before = copy.deepcopy(reader.network.state_dict())
    image = np.random.default_rng(0).random((40, 40, 3)).astype(np.float32)
    first, again, other = (random_head(reader, seed).score(image) for seed in (0, 0, 1))
    assert first.shape == (40, 40)
    assert (first == again).all()
    assert not np.allclose(first, other)
    assert all(torch.equal(before[name], value) for name, value in reader.network.state_dict().items())
