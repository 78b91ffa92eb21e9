import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torchmetrics.functional.classification import (
    binary_f1_score,
    binary_jaccard_index,
    binary_precision,
    binary_recall,
    multiclass_jaccard_index,
)

from relmask.evaluation.metrics import Tally, f1_tolerant, overlap

Masks = NDArray[np.uint8]
CLASSES = ("crack", "pit")
masks = arrays(np.uint8, (12, 15), elements=st.integers(0, 2))


def tally(pairs: list[tuple[Masks, Masks]], scores: list[float] | None = None) -> Tally:
    found = Tally(CLASSES)
    for number, (mask, truth) in enumerate(pairs):
        found.add(
            name=str(number),
            group=str(number),
            labels=frozenset(CLASSES[k - 1] for k in np.unique(truth) if k),
            mask=mask,
            truth=truth,
            relevance=mask.astype(np.float32),
            called=bool(mask.any()),
            score=scores[number] if scores else float(mask.any()),
            scores={"crack": float((mask == 1).mean()), "pit": float((mask == 2).mean())},
            maps={name: (mask == k).astype(np.float32) for k, name in enumerate(CLASSES, start=1)},
            peaks={},
        )
    return found


@pytest.fixture
def pairs() -> list[tuple[Masks, Masks]]:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, (6, 12, 15), dtype=np.uint8)
    mask = np.where(rng.random(truth.shape) < 0.6, truth, rng.integers(0, 3, truth.shape)).astype(np.uint8)
    truth[0] = 0
    return list(zip(mask, truth, strict=True))


def test_pooled_pixel_scores_equal_torchmetrics(pairs: list[tuple[Masks, Masks]]) -> None:
    scores = tally(pairs).pixel()
    predicted, target = (torch.from_numpy(np.stack(side)) > 0 for side in zip(*pairs, strict=True))
    for name, reference in (
        ("iou", binary_jaccard_index),
        ("f1", binary_f1_score),
        ("precision", binary_precision),
        ("recall", binary_recall),
    ):
        assert getattr(scores, name) == pytest.approx(float(reference(predicted, target)), abs=1e-6), name


def test_class_iou_equals_torchmetrics(pairs: list[tuple[Masks, Masks]]) -> None:
    scores = tally(pairs).per_class()
    predicted, target = (torch.from_numpy(np.stack(side)) for side in zip(*pairs, strict=True))
    reference = multiclass_jaccard_index(predicted, target, num_classes=3, average="none")
    assert [scores[name].iou for name in CLASSES] == pytest.approx(reference[1:].tolist(), abs=1e-6)


def test_each_class_is_ranked_by_its_own_relevance() -> None:
    truth = np.zeros((12, 15), np.uint8)
    truth[2:5, 2:6] = 1
    found = Tally(CLASSES)
    found.add(
        name="a",
        group="a",
        labels=frozenset(["crack"]),
        mask=truth,
        truth=truth,
        relevance=None,
        called=True,
        score=1.0,
        scores={"crack": 0.6, "pit": 0.9},
        maps={"crack": truth.astype(np.float32)},
        peaks={},
    )
    assert found.per_class()["crack"].ap == pytest.approx(1)


@settings(max_examples=50)
@given(masks, masks)
def test_tolerance_is_a_euclidean_distance_both_ways(mask: Masks, truth: Masks) -> None:
    predicted, true = mask == 2, truth == 1
    counts = overlap(predicted, true)
    if predicted.any() and true.any():
        assert counts.near == (distance_transform_edt(~true)[predicted] <= 2).sum()
        assert counts.met == (distance_transform_edt(~predicted)[true] <= 2).sum()
    else:
        assert counts.near == counts.met == 0


@pytest.mark.parametrize(("shift", "expected"), [((0, 2), 1.0), ((2, 1), 0.0), ((0, 3), 0.0), ((1, 1), 1.0)])
def test_a_pixel_is_met_within_two_pixels(shift: tuple[int, int], expected: float) -> None:
    truth, mask = np.zeros((9, 9), np.bool_), np.zeros((9, 9), np.bool_)
    truth[4, 4] = mask[4 + shift[0], 4 + shift[1]] = True
    assert f1_tolerant(np.array(overlap(mask, truth))) == expected


@given(st.integers(1, 99), st.integers(0, 99), st.integers(1, 99), st.integers(0, 99))
def test_tolerant_f1_is_the_harmonic_mean_of_its_precision_and_recall(
    p: int, near: int, t: int, met: int
) -> None:
    near, met = min(p, near), min(t, met)
    if (near == 0) != (met == 0):
        return
    precision, recall = near / p, met / t
    expected = 2 * precision * recall / (precision + recall) if near else 0.0
    assert f1_tolerant(np.array([0, p, t, near, met])) == pytest.approx(expected)


def test_what_is_undefined_is_none() -> None:
    nothing = np.zeros((8, 8), np.uint8)
    scores = tally([(nothing, nothing)])
    assert set(scores.pixel().model_dump().values()) == {None}
    assert scores.image().auroc is None
    assert scores.clean().empty_share == 1.0

    missed = nothing.copy()
    missed[2, 2] = 1
    scores = tally([(nothing, missed)])
    pixel = scores.pixel()
    assert (pixel.iou, pixel.f1, pixel.f1_tol2, pixel.recall, pixel.precision) == (0, 0, 0, 0, None)
    assert scores.clean().empty_share is None
    assert scores.per_class()["pit"].iou is None


def test_clean_images_with_a_mask_lower_the_pooled_scores_and_the_empty_share() -> None:
    clean, full = np.zeros((8, 8), np.uint8), np.ones((8, 8), np.uint8)
    scores = tally([(full, full), (clean, clean), (full, clean)])
    assert scores.pixel().iou == 0.5
    assert scores.clean().model_dump() == {"images": 2, "empty_share": 0.5}
    assert scores.image().accuracy == pytest.approx(2 / 3)


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(4, 4\)"):
        tally([(np.zeros((4, 4), np.uint8), np.zeros((5, 4), np.uint8))])
