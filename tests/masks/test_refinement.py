import numpy as np
import pytest

from relmask.masks.refinement import guided, smooth


def test_smoothing_keeps_the_sum_away_from_the_border() -> None:
    relevance = np.zeros((41, 41), np.float32)
    relevance[20, 20] = 3
    found = smooth(relevance, 2.0)
    assert found.dtype == np.float32
    assert float(found.sum()) == pytest.approx(3, rel=1e-4)
    assert found.max() < 1
    assert smooth(relevance, 0) is relevance


def test_relevance_fills_what_the_picture_bounds() -> None:
    picture = np.full((40, 40), 0.7, np.float32)
    picture[15:25, 12:28] = 0.2
    relevance = smooth(np.where(np.arange(40) == 14, 1, 0)[None] * (picture < 0.5).astype(np.float32), 1)
    found = guided(relevance, picture, 6)
    inside, outside = found[16:24, 13:20], found[16:24, 4:10]
    assert inside.min() > 4 * outside.max()
    assert inside.min() / inside.max() > 0.2 > relevance[16:24, 13:20].min() / relevance.max()


def test_where_the_picture_is_even_relevance_is_its_mean() -> None:
    relevance = np.random.default_rng(0).random((30, 30)).astype(np.float32)
    found = guided(relevance, np.full((30, 30), 0.5, np.float32), 3)
    assert found.std() < 0.2 * relevance.std()
    np.testing.assert_allclose(found.mean(), relevance.mean(), rtol=0.02)


def test_radius_0_leaves_relevance_as_it_is() -> None:
    relevance = np.ones((3, 3), np.float32)
    assert guided(relevance, relevance, 0) is relevance
