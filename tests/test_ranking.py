import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from relmask.ranking import auroc, weighted_auroc

scored = st.lists(st.tuples(st.sampled_from([-np.inf, -1.5, 0.0, 0.5, 2.0]), st.booleans()), max_size=40)


def ranks(scores: NDArray[np.float64]) -> NDArray[np.intp]:
    """The same order and ties without infinities, which scikit-learn refuses."""
    return np.unique(scores, return_inverse=True)[1]


@given(scored)
def test_the_area_is_that_of_scikit_learn_with_ties_and_infinities(images: list[tuple[float, bool]]) -> None:
    scores, positive = np.array([score for score, _ in images]), np.array([kind for _, kind in images], bool)
    if positive.all() or not positive.any():
        assert auroc(scores, positive) is None
    else:
        assert auroc(scores, positive) == pytest.approx(roc_auc_score(positive, ranks(scores)))


@given(st.integers(2, 30), st.integers(0, 99))
def test_weights_count_a_score_so_many_times(images: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, positive = rng.integers(0, 5, images).astype(float), rng.random(images) < 0.5
    positive[:2] = True, False
    weights = rng.integers(1, 4, (3, images)).astype(float)
    expected = [roc_auc_score(positive, scores, sample_weight=row) for row in weights]
    assert weighted_auroc(scores, positive, weights) == pytest.approx(expected)


def test_a_row_of_weights_without_one_kind_has_no_area() -> None:
    areas = weighted_auroc([0.1, 0.9], [False, True], np.array([[1.0, 0.0], [1.0, 1.0]]))
    np.testing.assert_equal(areas, [np.nan, 1.0])
    assert np.isnan(weighted_auroc([], [], np.ones((2, 0)))).all()


def test_tensors_are_scores_too() -> None:
    assert auroc(torch.tensor([0.5, 1.5, 0.5]), torch.tensor([False, True, True])) == 0.75


def test_many_pictures_take_little_memory() -> None:
    scores = np.random.default_rng(0).random(50_000)
    tracemalloc.start()
    assert auroc(scores, scores > 0.75) == 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 * scores.nbytes
