from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from relmask.arrays import DoubleArray, FloatArray, Mask
from relmask.calibration.explanations import EXPLAINED, Explanations
from relmask.calibration.from_labels import choose_thresholds, even_odds, level_from_labels
from relmask.data.index import Sample
from relmask.data.reading import Intensity
from relmask.inference.relevance import RelevanceModel
from relmask.masks.binarise import binarise
from relmask.masks.gates import Scores
from relmask.masks.thresholds import Calibration
from relmask.models.bundle import Input
from relmask.progress import silent

SIDE = 16
SCALE = 128
CLASSES = ("crack", "pit")


class Squares(RelevanceModel):
    """A square as bright as the picture's number is relevant, and a defect as far as it shows."""

    def __init__(self, windows: bool = False, rest: float | None = None, fades: bool = False) -> None:
        spec = Input(size=SIDE, windows=windows, mean=(0,) * 3, std=(1,) * 3, sigma=0, intensity=Intensity())
        super().__init__(nn.Identity(), spec, torch.device("cpu"), batch_size=4)
        self.fades = fades
        self.rest = rest

    def logits(self, images: Tensor) -> Tensor:
        return 5 * (images[:, 0] > 0.5 / SCALE).float().mean((1, 2))[:, None].repeat(1, 2) * SIDE

    def relevance(self, images: Tensor, targets: Tensor) -> Tensor:
        squares = images[:, 0] * SCALE
        faint = 0.01 * torch.rand(squares.shape) * squares.amax((1, 2), keepdim=True)
        if self.fades:
            squares = squares * 0.1 ** (torch.arange(SIDE) - 4)
        return torch.where(squares > 0, squares, faint)

    def grown(
        self,
        images: Tensor,
        targets: Tensor,
        maps: Sequence[FloatArray],
        anomalous: float,
        clean: Tensor | None = None,
    ) -> list[FloatArray]:
        assert self.rest is not None
        return [np.where(images[0, 0] > 0, values, self.rest * values.max()) for values in maps]

    def completed(
        self, images: Tensor, targets: Tensor, maps: Sequence[FloatArray], anomalous: float | None
    ) -> list[FloatArray]:
        squares = images[:, 0].numpy() > 0
        return [
            np.where(square, values.max(), 0.1 * values.max()).astype(np.float32)
            for square, values in zip(squares, maps, strict=True)
        ]

    def novelty_map(self, images: Tensor, targets: Tensor) -> FloatArray | None:
        return None if self.rest is None else np.linspace(0, 1, images[:, 0].numel(), dtype=np.float32)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    """Pictures with a square as bright as the picture's number plus 1, of `SCALE`."""
    folder, found = tmp_path_factory.mktemp("squares"), []
    for number in range(3 * EXPLAINED + 12):
        pixels = np.zeros((SIDE, SIDE), np.uint16)
        pixels[4:8, 4:8] = round(65535 * (number + 1) / SCALE)
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
        found.append(Sample(folder / f"{number:02d}.png", f"{number:02d}.png", frozenset(), ""))
    return found


def explanations(
    samples: list[Sample], model: RelevanceModel, logits: DoubleArray, targets: Mask, unseen: int
) -> Explanations:
    return Explanations(model, samples[: len(logits)], logits, targets, unseen)


def choose(
    samples: list[Sample],
    scores: Scores,
    model: RelevanceModel,
    logits: DoubleArray | None = None,
    rate: float = 0.03,
    *,
    cross_fitted: bool = False,
) -> Calibration:
    own = np.asarray(scores.logits if logits is None else logits, np.float64)
    given = explanations(samples, model, own, scores.targets, len(own))
    level_of = partial(level_from_labels, given)
    return choose_thresholds(scores, level_of, CLASSES, rate, cross_fitted=cross_fitted, progress=silent)


def case(clean: int = 40, defective: int = 20) -> tuple[Scores, DoubleArray, Mask]:
    """Two classes; clean images first. Logits tell the classes apart but for one clean image in 40."""
    rng = np.random.default_rng(0)
    targets = np.zeros((clean + defective, 2), bool)
    targets[clean::2, 0] = targets[clean + 1 :: 2, 1] = True
    logits = rng.normal(0, 0.1, targets.shape) + 5 * targets
    logits[:clean:40, 0] = 3
    return Scores(logits, targets, list(range(len(targets)))), logits, targets


def test_thresholds_let_as_many_clean_images_pass_as_allowed_and_mask_the_square(
    samples: list[Sample],
) -> None:
    scores, logits, targets = case()
    model = Squares()
    found = choose(samples, scores, model)
    passes = found.candidates(logits)
    assert passes[:40].any(axis=1).sum() == 1
    assert (passes[40:] & targets[40:]).any(axis=1).all()
    assert (found.negatives, found.groups, found.saw_masks, found.cross_fitted) == (40, 40, False, False)
    assert list(found.classes) == ["crack", "pit"]
    for row, name in ((40, "crack"), (41, "pit")):
        cache = explanations(samples, model, logits, targets, 60).cache
        relevance = model.relevance(cache.batch([row]), torch.tensor([0]))[0].numpy()
        mask = binarise(relevance, found.classes[name])
        assert mask[4:8, 4:8].all()
        assert mask.sum() < 40
    assert (found.defect_probability(logits[40:]) > 0.5).all()


def test_where_pictures_are_cut_into_windows_the_level_is_that_of_a_usual_window(
    samples: list[Sample],
) -> None:
    found = choose(samples, case()[0], Squares(windows=True)).classes["crack"]
    assert found.level_of == "absolute"
    assert 0.1 < found.level < 0.95 * 60  # images 40 to 59 have the class, their peaks are 41 to 60


def test_the_groups_of_exposures_count_once(samples: list[Sample]) -> None:
    _, logits, targets = case()
    paired = Scores(logits, targets, [row // 2 for row in range(60)])
    found = choose(samples, paired, Squares(), cross_fitted=True)
    assert (found.negatives, found.groups, found.cross_fitted) == (40, 20, True)


def test_without_clean_images_all_count_as_negatives_of_some_class(samples: list[Sample]) -> None:
    scores, logits, targets = case(clean=0)
    found = choose(samples, scores, Squares(), rate=0.0)
    assert found.negatives == 20
    assert (found.candidates(logits) == targets).all()


def test_images_that_training_did_not_see_are_explained_first(samples: list[Sample]) -> None:
    count = 3 * EXPLAINED
    logits, targets = np.ones((count, 1)), np.ones((count, 1), bool)
    unseen = EXPLAINED // 2
    rows = explanations(samples, Squares(), logits, targets, unseen).positives(0, 0.5)
    assert len(rows) == EXPLAINED
    assert rows[:unseen] == list(range(unseen))
    assert len(set(rows)) == EXPLAINED
    assert max(rows) == count - 1  # the others are evenly spaced among those that it saw


@pytest.mark.parametrize("gate", [0.5, 2.0])
def test_only_images_that_pass_the_gate_are_explained(samples: list[Sample], gate: float) -> None:
    logits, targets = np.array([[1.0], [3.0], [1.0]]), np.array([[True], [True], [False]])
    of = explanations(samples, Squares(), logits, targets, 3)
    assert len(of.positives(0, gate)) == (2 if gate < 1 else 1)


def test_masks_of_a_student_end_at_even_odds() -> None:
    scores, logits, _ = case()
    found = choose_thresholds(scores, even_odds, CLASSES, 0.03, progress=silent)
    assert {(of.level, of.level_of, of.large) for of in found.classes.values()} == {(0.5, "absolute", False)}
    assert found.candidates(logits)[:40].any(axis=1).sum() == 1


@pytest.mark.parametrize(("rest", "grows"), [(None, False), (0.0, False), (0.9, True)])
def test_masks_grow_where_most_pictures_stay_anomalous(
    samples: list[Sample], rest: float | None, grows: bool
) -> None:
    found = choose(samples, case()[0], Squares(rest=rest))
    assert found.large == pytest.approx({0: 0.99, 1: 0.99} if grows else {}, abs=5e-3)
    for threshold in found.classes.values():  # above Otsu's, which parts what is propagated: 1 and 0.1
        assert (0.1 <= threshold.level < 0.3) == grows


def test_masks_that_have_to_reach_far_are_of_large_defects_even_if_they_do_not_grow(
    samples: list[Sample],
) -> None:
    found = choose(samples, case()[0], Squares(rest=0.0, fades=True))
    assert found.large == {0: None, 1: None}


def test_a_large_defect_keeps_its_plain_mask_where_the_completed_one_looks_less_alike(
    samples: list[Sample],
) -> None:
    class Vague(Squares):
        def completed(
            self, images: Tensor, targets: Tensor, maps: Sequence[FloatArray], anomalous: float | None
        ) -> list[FloatArray]:
            columns = np.arange(SIDE, dtype=np.float32) % 5 + 1
            return [np.broadcast_to(columns, (SIDE, SIDE))] * len(maps)

    assert choose(samples, case()[0], Vague(rest=0.9)).large == {}
