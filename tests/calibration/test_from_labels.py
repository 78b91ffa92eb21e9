from collections.abc import Sequence
from typing import cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from relmask.calibration.from_labels import EXPLAINED, Explained, thresholds
from relmask.calibration.gates import Scores
from relmask.data.image_cache import ImageCache
from relmask.inference.explained import ExplainedClassifier
from relmask.masks.binarise import binarise
from relmask.progress import silent

SIDE = 16
SCALE = 128


class Fake:
    """Pictures with a square as bright as the picture's number, relevant and a defect as far as it shows."""

    batch_size = 4

    def __init__(self, windows: bool = False, rest: float | None = None, fades: bool = False) -> None:
        self.spec = self
        self.fades = fades
        self.rest = rest
        self.windows = windows

    def batch(self, indices: Sequence[int]) -> Tensor:
        images = torch.zeros(len(indices), 3, SIDE, SIDE)
        images[:, :, 4:8, 4:8] = torch.tensor(indices).view(-1, 1, 1, 1) / SCALE + 1 / SCALE
        return images

    def relevance(self, images: Tensor, targets: Tensor) -> Tensor:
        squares = images[:, 0] * SCALE
        faint = 0.01 * torch.rand(squares.shape) * squares.amax((1, 2), keepdim=True)
        if self.fades:
            squares = squares * 0.1 ** (torch.arange(SIDE) - 4)
        return torch.where(squares > 0, squares, faint)

    def drawn(self, images: Tensor, targets: Tensor) -> list[NDArray[np.float32]]:
        return [*self.relevance(images, targets).numpy()]

    def grown(
        self,
        images: Tensor,
        targets: Tensor,
        maps: Sequence[NDArray[np.float32]],
        strange: float,
        clean: Tensor | None = None,
    ) -> list[NDArray[np.float32]]:
        return [np.where(images[0, 0] > 0, values, self.rest * values.max()) for values in maps]

    def completed(
        self,
        images: Tensor,
        targets: Tensor,
        maps: Sequence[NDArray[np.float32]],
        strange: float | None,
    ) -> list[NDArray[np.float32]]:
        squares = images[:, 0].numpy() > 0
        return [
            np.where(square, values.max(), 0.1 * values.max()).astype(np.float32)
            for square, values in zip(squares, maps, strict=True)
        ]

    def strangeness(self, images: Tensor, targets: Tensor) -> NDArray[np.float32] | None:
        return None if self.rest is None else np.linspace(0, 1, images[:, 0].numel(), dtype=np.float32)

    def logits(self, images: Tensor) -> Tensor:
        return 5 * (images[:, 0] > 0.5 / SCALE).float().mean((1, 2))[:, None].repeat(1, 2) * SIDE


def explained(fake: Fake, logits: NDArray[np.float64], targets: NDArray[np.bool_], unseen: int) -> Explained:
    return Explained(cast(ExplainedClassifier, fake), cast(ImageCache, fake), logits, targets, unseen)


def case(clean: int = 40, defective: int = 20) -> tuple[Scores, NDArray[np.float64], NDArray[np.bool_]]:
    """Two classes; clean images first. Logits tell the classes apart but for one clean image in 40."""
    rng = np.random.default_rng(0)
    targets = np.zeros((clean + defective, 2), bool)
    targets[clean::2, 0] = targets[clean + 1 :: 2, 1] = True
    logits = rng.normal(0, 0.1, targets.shape) + 5 * targets
    logits[:clean:40, 0] = 3
    return Scores(logits, targets, list(range(len(targets)))), logits, targets


def test_thresholds_let_as_many_clean_images_pass_as_allowed_and_mask_the_square() -> None:
    scores, logits, targets = case()
    fake = Fake()
    found = thresholds(scores, explained(fake, logits, targets, 60), ("crack", "pit"), 0.03, False, silent)
    passes = found.candidates(logits)
    assert passes[:40].any(axis=1).sum() == 1
    assert (passes[40:] & targets[40:]).any(axis=1).all()
    assert (found.negatives, found.groups, found.saw_masks, found.cross_fitted) == (40, 40, False, False)
    assert list(found.classes) == ["crack", "pit"]
    for row, name in ((40, "crack"), (41, "pit")):
        relevance = fake.relevance(fake.batch([row]), torch.tensor([0]))[0].numpy()
        mask = binarise(relevance, found.classes[name])
        assert mask[4:8, 4:8].all()
        assert mask.sum() < 40
    assert (found.defect_probability(logits[40:]) > 0.5).all()


def test_a_seed_lies_above_the_relevance_of_clean_images_but_for_the_share_allowed() -> None:
    scores, logits, targets = case()
    own = logits.copy()
    own[[10, 20, 30], 1] = 4  # clean images that the model itself takes for pits
    found = thresholds(scores, explained(Fake(), own, targets, 60), ("crack", "pit"), 0.03, False, silent)
    assert found.classes["pit"].seed == pytest.approx(21)  # the square in image 20; that of 30 may exceed it
    assert found.classes["crack"].seed == 0


def test_where_pictures_are_cut_into_windows_the_extent_is_that_of_a_usual_window() -> None:
    scores, logits, targets = case()
    of = explained(Fake(windows=True), logits, targets, 60)
    found = thresholds(scores, of, ("crack", "pit"), 0.03, False, silent).classes["crack"]
    assert (found.level_of, found.seed) == ("absolute", 0)
    assert 0.1 < found.level < 0.95 * 60  # images 40 to 59 have the class, their peaks are 41 to 60


def test_the_groups_of_exposures_count_once() -> None:
    _, logits, targets = case()
    paired = Scores(logits, targets, [row // 2 for row in range(60)])
    found = thresholds(paired, explained(Fake(), logits, targets, 60), ("crack", "pit"), 0.03, True, silent)
    assert (found.negatives, found.groups, found.cross_fitted) == (40, 20, True)


def test_without_clean_images_all_count_as_negatives_of_some_class() -> None:
    scores, logits, targets = case(clean=0)
    found = thresholds(scores, explained(Fake(), logits, targets, 20), ("crack", "pit"), 0.0, False, silent)
    assert found.negatives == 20
    assert (found.candidates(logits) == targets).all()


def test_images_that_training_did_not_see_are_explained_first() -> None:
    count = 3 * EXPLAINED
    logits, targets = np.ones((count, 1)), np.ones((count, 1), bool)
    unseen = EXPLAINED // 2
    rows = explained(Fake(), logits, targets, unseen).positives(0, 0.5)
    assert len(rows) == EXPLAINED
    assert rows[:unseen] == list(range(unseen))
    assert len(set(rows)) == EXPLAINED
    assert max(rows) == count - 1  # the others are spread over those that it saw


@pytest.mark.parametrize("gate", [0.5, 2.0])
def test_only_images_that_pass_the_gate_are_explained(gate: float) -> None:
    logits, targets = np.array([[1.0], [3.0], [1.0]]), np.array([[True], [True], [False]])
    of = explained(Fake(), logits, targets, 3)
    assert len(of.positives(0, gate)) == (2 if gate < 1 else 1)
    assert of.false_peaks(0, gate).tolist() == [3 if gate < 1 else 0]


def test_without_clean_images_those_without_the_class_give_its_false_peaks() -> None:
    logits, targets = np.array([[1.0, 1], [1, 1], [1, 0]]), np.array([[1, 0], [0, 1], [0, 1]], bool)
    of = explained(Fake(), logits, targets, 3)
    assert of.false_peaks(0, 0.5).tolist() == [2, 3]
    assert of.false_peaks(1, 0.5).tolist() == [1]


@pytest.mark.parametrize(("rest", "grows"), [(None, False), (0.0, False), (0.9, True)])
def test_masks_grow_where_most_pictures_stay_strange(rest: float | None, grows: bool) -> None:
    scores, logits, targets = case()
    fake = Fake(rest=rest)
    found = thresholds(scores, explained(fake, logits, targets, 60), ("crack", "pit"), 0.03, False, silent)
    assert found.large == pytest.approx({0: 0.99, 1: 0.99} if grows else {}, abs=5e-3)
    for threshold in found.classes.values():  # above Otsu's, which parts what is spread: 1 and 0.1
        assert (0.1 <= threshold.level < 0.3) == grows


def test_masks_that_have_to_reach_far_are_of_large_defects_even_if_they_do_not_grow() -> None:
    scores, logits, targets = case()
    fake = Fake(rest=0.0, fades=True)
    found = thresholds(scores, explained(fake, logits, targets, 60), ("crack", "pit"), 0.03, False, silent)
    assert found.large == {0: None, 1: None}


def test_a_large_defect_keeps_its_plain_mask_where_the_completed_one_looks_less_alike() -> None:
    class Vague(Fake):
        def completed(self, *args: object) -> list[NDArray[np.float32]]:
            columns = np.broadcast_to(np.arange(SIDE, dtype=np.float32) % 5 + 1, (SIDE, SIDE))
            return [columns] * len(cast(Sequence[object], args[2]))

    scores, logits, targets = case()
    fake = Vague(rest=0.9)
    found = thresholds(scores, explained(fake, logits, targets, 60), ("crack", "pit"), 0.03, False, silent)
    assert found.large == {}
