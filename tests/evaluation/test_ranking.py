import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.metrics import average_precision_score

from relmask.evaluation.ranking import BINS, Ranking, ThresholdSearch, bin_floor, disk, to_bins

Images = list[tuple[NDArray[np.float32], NDArray[np.bool_]]]
numbers = st.floats(allow_nan=False, width=32)


@pytest.fixture
def images() -> Images:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(5):
        truth = ndimage.gaussian_filter(rng.normal(size=(40, 50)), 3) > 0.08
        scores = (rng.normal(size=truth.shape) + 1.5 * truth) * np.exp(rng.normal(size=truth.shape))
        found.append((np.round(scores, 1).astype(np.float32), truth))
    found[0][1][:] = False
    return found


def ranked(images: Images) -> Ranking:
    ranking = Ranking()
    for scores, truth in images:
        ranking.add(scores, truth)
    return ranking


@given(arrays(np.float32, 20, elements=numbers))
def test_bins_keep_the_order_of_all_floats(scores: NDArray[np.float32]) -> None:
    bins = to_bins(scores)
    assert bins.min() >= 0
    assert bins.max() < BINS
    order = np.argsort(scores)
    assert (np.diff(bins[order]) >= 0).all()


@given(numbers)
def test_the_floor_of_a_bin_is_the_lowest_score_in_it(score: float) -> None:
    number = int(to_bins(np.array([score]))[0])
    floor = np.float32(bin_floor(number))
    assert floor <= np.float32(score)
    assert to_bins(np.array([floor]))[0] == number
    if np.isfinite(floor):
        assert to_bins(np.nextafter(np.array([floor]), np.float32(-np.inf)))[0] <= number


def test_the_best_iou_is_that_of_the_best_of_all_thresholds(images: Images) -> None:
    def iou(threshold: float) -> float:
        masks = [scores >= threshold for scores, _ in images]
        both = sum((mask & truth).sum() for mask, (_, truth) in zip(masks, images, strict=True))
        return float(both / sum((mask | truth).sum() for mask, (_, truth) in zip(masks, images, strict=True)))

    threshold, best = ranked(images).best_iou()
    tried = np.unique(np.concatenate([scores.ravel() for scores, _ in images]))
    assert best == pytest.approx(max(map(iou, tried)), abs=1e-3)
    assert iou(threshold) == pytest.approx(best)


def test_images_without_a_map_lower_the_best_iou_and_get_no_mask(images: Images) -> None:
    ranking = Ranking()
    ranking.add(None, images[1][1])
    assert ranking.best_iou() == (float("inf"), 0.0)
    ranking.add(images[1][1].astype(np.float32), images[1][1])
    assert ranking.best_iou() == (1.0, 0.5)


def test_average_precision_equals_scikit_learn(images: Images) -> None:
    scores, truth = (np.concatenate([part.ravel() for part in side]) for side in zip(*images, strict=True))
    assert ranked(images).average_precision() == pytest.approx(
        average_precision_score(truth, scores), abs=1e-3
    )


def test_average_precision_is_exact_where_scores_differ_by_more_than_a_bin() -> None:
    rng = np.random.default_rng(1)
    scores, truth = rng.integers(-9, 9, (30, 30)).astype(np.float32), rng.random((30, 30)) < 0.2
    expected = average_precision_score(truth.ravel(), scores.ravel())
    assert ranked([(scores, truth)]).average_precision() == pytest.approx(expected, abs=1e-12)


def test_region_overlap_equals_its_definition_threshold_by_threshold(images: Images) -> None:
    fpr, pro = [0.0], [0.0]
    for threshold in sorted({float(v) for scores, _ in images for v in scores.ravel()}, reverse=True):
        shares, false, background = [], 0, 0
        for scores, truth in images:
            said = scores >= threshold
            regions, count = ndimage.label(truth, np.ones((3, 3)))
            shares += [said[regions == k].mean() for k in range(1, count + 1)]
            false, background = false + (said & ~truth).sum(), background + (~truth).sum()
        fpr.append(false / background)
        pro.append(float(np.mean(shares)))
    fine = np.linspace(0, 0.05, 20001)
    expected = np.mean(np.interp(fine, fpr, pro))
    assert ranked(images).aupro() == pytest.approx(expected, abs=2e-3)


def test_perfect_scores_are_one_and_an_image_without_a_map_ranks_below_everything() -> None:
    truth = np.zeros((9, 9), np.bool_)
    truth[3:5, 3:5] = True
    scores = np.where(truth, -1, -2).astype(np.float32)
    perfect = ranked([(scores, truth)])
    perfect.add(None, np.zeros((200, 9), np.bool_))
    assert perfect.average_precision() == perfect.aupro() == 1.0
    missed = Ranking()
    missed.add(None, truth)
    assert missed.average_precision() == pytest.approx(4 / 81)


def test_nothing_to_find_is_none() -> None:
    ranking = ranked([(np.zeros((4, 4), np.float32), np.zeros((4, 4), np.bool_))])
    assert ranking.average_precision() is None
    assert ranking.aupro() is None


def test_the_best_threshold_beats_every_other(images: Images) -> None:
    search = ThresholdSearch()
    for scores, truth in images:
        search.add(scores, truth)
    threshold, best = search.best()

    def f1(at: float) -> float:
        near = met = said = real = 0
        for scores, truth in images:
            mask = scores >= at
            near += (mask & ndimage.binary_dilation(truth, disk(2))).sum()
            met += (truth & ndimage.binary_dilation(mask, disk(2))).sum()
            said, real = said + mask.sum(), real + truth.sum()
        return float(2 * (near / said) * (met / real) / (near / said + met / real))

    assert best == pytest.approx(f1(threshold))
    assert f1(threshold) >= max(f1(at) for at in np.linspace(-3, 3, 25)) - 1e-9
