import numpy as np
import pytest
import torch
from torch import Tensor

from relmask.models.novelty import LIMIT, Novelty

CHANNELS, GRID = 5, (8, 8)


def drawn(count: int) -> Tensor:
    """Features (count, C, 8, 8) of correlated channels with a mean."""
    mixing = torch.randn(CHANNELS, CHANNELS, generator=torch.Generator().manual_seed(1))
    white = torch.randn(count, *GRID, CHANNELS)
    return (white @ mixing + torch.arange(CHANNELS)).permute(0, 3, 1, 2)


@pytest.fixture
def fitted() -> Novelty:
    novelty = Novelty(CHANNELS, GRID)
    references = drawn(200)
    novelty.fit(0, lambda: references.split(32))
    return novelty


def test_the_distance_is_that_of_mahalanobis() -> None:
    novelty, references, others = Novelty(CHANNELS, GRID), drawn(100), 2 * drawn(3)
    novelty.fit(0, lambda: [references], shrinkage=1e-9)
    locations = references.permute(0, 2, 3, 1).reshape(-1, CHANNELS).double().numpy()
    away = others.permute(0, 2, 3, 1).reshape(-1, CHANNELS).double().numpy() - locations.mean(0)
    inverse = np.linalg.inv(np.cov(locations.T, bias=True))
    expected = np.sqrt(np.einsum("pi,ij,pj->p", away, inverse, away) / CHANNELS)
    found = novelty.distance(others)[:, 0].flatten().double().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_references_are_typical(fitted: Novelty) -> None:
    found = fitted(drawn(100))
    assert found.shape == (100, 1, *GRID)
    assert abs(float(found.mean())) < 0.1
    assert 0.7 < float(found.std()) < 1.3


def test_an_anomalous_location_stands_out_alone_and_not_beyond_the_limit(fitted: Novelty) -> None:
    features = drawn(1)
    before = fitted(features)
    features[0, :, 2, 5] += 100
    after = fitted(features)
    assert after[0, 0, 2, 5] == LIMIT == after.max()
    after[0, 0, 2, 5] = before[0, 0, 2, 5]
    torch.testing.assert_close(after, before)


def test_the_typical_distance_is_learned_by_how_far_the_border_is() -> None:
    references = drawn(200)
    references[:, :, 0] *= 3
    references[:, :, -1] *= 3
    references[:, :, :, [0, -1]] *= 3
    novelty = Novelty(CHANNELS, GRID)
    novelty.fit(0, lambda: [references])
    found = novelty(references)[:, 0].mean(0)
    assert float(found[0].mean() - found[3:5, 3:5].mean()) < 1


def test_the_batches_do_not_matter_to_the_fit() -> None:
    references, others = drawn(50), drawn(2)
    one, many = Novelty(CHANNELS, GRID), Novelty(CHANNELS, GRID)
    one.fit(0, lambda: [references])
    many.fit(0, lambda: references.split(7))
    torch.testing.assert_close(one(others), many(others), atol=1e-3, rtol=1e-3)


def test_each_group_has_its_own_references() -> None:
    novelty = Novelty(CHANNELS, GRID, groups=2)
    near, far = drawn(50), drawn(50) + 20
    novelty.fit(0, lambda: [near])
    novelty.fit(1, lambda: [far])
    found = novelty(near[:4])
    assert found.shape == (4, 2, *GRID)
    assert found[:, 0].mean() < 1 < found[:, 1].mean()


def test_larger_features_than_fitted_on_are_compared_too(fitted: Novelty) -> None:
    assert fitted(torch.rand(1, CHANNELS, 12, 10)).shape == (1, 1, 12, 10)


def test_constant_references_do_not_break_the_fit() -> None:
    novelty = Novelty(CHANNELS, GRID)
    novelty.fit(0, lambda: [torch.ones(3, CHANNELS, *GRID)])
    assert novelty(drawn(1)).isfinite().all()
