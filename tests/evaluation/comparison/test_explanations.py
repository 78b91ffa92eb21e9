from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from relmask.arrays import DoubleArray, Mask
from relmask.calibration.from_labels import OTSU
from relmask.data.index import Sample
from relmask.evaluation.comparison.explanations import EXPLAINED, Explanations
from relmask.inference.relevance import RelevanceModel
from relmask.masks.settings import MaskSettings
from tests.relevance import Coloured

SIDE = 16
SCALE = 128


class Squares(Coloured):
    """A square as bright as the picture's number is relevant, and all around it a hundredth of that."""

    def logits(self, images: Tensor) -> Tensor:
        return images.amax((1, 2, 3))[:, None].repeat(1, 2) * SCALE

    def relevance(self, images: Tensor, targets: Tensor) -> Tensor:
        squares = images[:, 0] * SCALE
        return torch.where(squares > 0, squares, 0.01 * squares.amax((1, 2), keepdim=True))


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    """Pictures with a square as bright as the picture's number plus 1, of `SCALE`."""
    folder, found = tmp_path_factory.mktemp("squares"), []
    for number in range(3 * EXPLAINED):
        pixels = np.zeros((SIDE, SIDE), np.uint16)
        pixels[4:8, 4:8] = round(65535 * (number + 1) / SCALE)
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
        found.append(Sample(folder / f"{number:02d}.png", f"{number:02d}.png", frozenset(), ""))
    return found


def explanations(
    samples: list[Sample],
    logits: DoubleArray,
    targets: Mask,
    unseen: int = 0,
    model: RelevanceModel | None = None,
) -> Explanations:
    return Explanations(model or Squares(SIDE), samples[: len(logits)], logits, targets, unseen)


def test_images_that_training_did_not_see_are_explained_first(samples: list[Sample]) -> None:
    count = 3 * EXPLAINED
    logits, targets = np.ones((count, 1)), np.ones((count, 1), bool)
    unseen = EXPLAINED // 2
    rows = explanations(samples, logits, targets, unseen).positives(0, 0.5)
    assert len(rows) == EXPLAINED
    assert rows[:unseen] == list(range(unseen))
    assert len(set(rows)) == EXPLAINED
    assert max(rows) == count - 1  # the others are evenly spaced among those that it saw


@pytest.mark.parametrize("gate", [0.5, 2.0])
def test_only_images_of_the_class_that_pass_its_gate_are_explained(
    samples: list[Sample], gate: float
) -> None:
    logits, targets = np.array([[1.0], [3.0], [1.0]]), np.array([[True], [True], [False]])
    assert explanations(samples, logits, targets, 3).positives(0, gate) == ([0, 1] if gate < 1 else [1])


def test_maps_as_a_method_gives_them_end_where_squares_and_what_lies_around_part(
    samples: list[Sample],
) -> None:
    """Squares are 5 to 8 and 21 to 24 high, and a hundredth of that is all around them."""
    logits, targets = np.full((24, 2), 5.0), np.zeros((24, 2), bool)
    targets[4:8, 0] = targets[20:24, 1] = True
    of = explanations(samples, logits, targets, 24)
    faint, bold = of.level(0, 1.0), of.level(1, 1.0)
    assert 0.05 < faint < 5
    assert 0.2 < bold < 21
    assert bold > faint


def test_masks_that_are_cut_from_support_end_at_otsus_threshold_without_a_look(
    samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    def explained(*_: object) -> Tensor:
        raise AssertionError("a picture was explained")

    model = Squares(SIDE, masks=MaskSettings())
    monkeypatch.setattr(model, "relevance", explained)
    of = explanations(samples, np.full((4, 2), 5.0), np.ones((4, 2), bool), 4, model)
    assert of.level(0, 1.0) == OTSU


def test_without_a_picture_above_the_gate_there_is_a_level_all_the_same(samples: list[Sample]) -> None:
    assert explanations(samples, np.zeros((4, 1)), np.ones((4, 1), bool), 4).level(0, 1.0) > 0


def test_of_windows_only_those_above_the_gate_count(tmp_path: Path) -> None:
    pixels = np.zeros((SIDE, 4 * SIDE), np.uint16)
    pixels[4:8, 4:8] = round(65535 * 9 / SCALE)
    pixels[4:8, 52:56] = round(65535 * 2 / SCALE)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    sample = Sample(tmp_path / "a.png", "a.png", frozenset(), "")
    of = explanations([sample], np.full((1, 2), 9.0), np.ones((1, 2), bool), 1, Squares(SIDE, windows=True))
    [shown], [none] = of.maps([0], 0, 5.0), of.maps([0], 0, 99.0)
    assert shown.shape == none.shape == pixels.shape
    assert shown[5, 5] > 1
    assert not shown[:, 40:].any()
    assert not none.any()
