import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from relmask.arrays import Pixels
from relmask.data.duplicates import fingerprint, look_alikes


def scene(seed: int, size: int = 160) -> NDArray[np.uint8]:
    """A picture with structure of all sizes."""
    rng = np.random.default_rng(seed)
    field = sum(
        ndimage.gaussian_filter(rng.normal(size=(size, size)), s, mode="wrap") * s for s in (2, 4, 8, 16)
    )
    return eight_bit(128 + 40 * field)


def eight_bit(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    return values.clip(0, 255).astype(np.uint8)


def likeness(a: Pixels, b: Pixels) -> float:
    return float(np.dot(fingerprint(a), fingerprint(b)))


def test_the_same_scene_in_another_light_size_and_depth_is_alike() -> None:
    picture = scene(0)
    light = np.linspace(0.5, 1.0, 160)[None, :]
    for other in (
        eight_bit(picture * light),
        eight_bit(picture * 0.6 + 30 + np.random.default_rng(1).normal(0, 5, picture.shape)),
        eight_bit(ndimage.zoom(picture.astype(float), 0.7, order=1)),
        picture.astype(np.uint16) * 200,
        np.dstack([picture] * 3),
    ):
        assert likeness(picture, other) > 0.95


def test_other_scenes_are_not_alike_even_under_the_same_light() -> None:
    light = np.add.outer(np.linspace(0, 90, 160), np.linspace(0, 60, 160))
    prints = np.stack([fingerprint(eight_bit(scene(n) / 4 + light)) for n in range(20)])
    assert np.triu(prints @ prints.T, 1).max() < 0.8


@pytest.mark.parametrize("picture", [np.full((50, 60), 77, np.uint8), np.zeros((1, 1), np.uint8)])
def test_a_flat_picture_is_like_nothing(picture: NDArray[np.uint8]) -> None:
    assert not fingerprint(picture).any()
    assert likeness(picture, picture) == 0


def test_small_and_odd_pictures_have_finite_fingerprints() -> None:
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (1, 40), (3, 5, 3), (33, 31), (200, 7)):
        print_ = fingerprint(rng.integers(0, 256, shape).astype(np.uint8))
        assert print_.shape == (1024,)
        assert np.isfinite(print_).all()
    assert np.isfinite(fingerprint(np.full((9, 9), np.nan, np.float32))).all()


def test_only_pairs_across_splits_and_groups_are_named_most_alike_first() -> None:
    noisy = eight_bit(scene(0) + np.random.default_rng(2).normal(0, 12, (160, 160)))
    prints = np.stack([fingerprint(p) for p in (scene(0), scene(0), scene(1), scene(0), scene(0), noisy)])
    splits = ["train", "train", "test", "test", "test", "val"]
    pairs = look_alikes(prints, splits, ["a", "b", "c", "a", "d", "e"])
    assert [(pair.first, pair.second) for pair in pairs[:3]] == [(0, 4), (1, 3), (1, 4)]
    assert {(pair.first, pair.second) for pair in pairs[3:]} == {(0, 5), (1, 5), (3, 5), (4, 5)}
    assert pairs[0].likeness == pytest.approx(1, abs=1e-3)


def test_many_pictures_are_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    prints = np.stack([fingerprint(scene(n % 5)) for n in range(12)])
    splits = ["train", "test"] * 6
    groups = [str(n) for n in range(12)]
    whole = look_alikes(prints, splits, groups)
    monkeypatch.setattr("relmask.data.duplicates._ROWS", 5)
    assert look_alikes(prints, splits, groups) == whole
    assert {(pair.first, pair.second) for pair in whole} == {
        (i, j) for i in range(12) for j in range(i, 12) if (j - i) == 5
    }
