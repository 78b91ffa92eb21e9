from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation, binary_erosion

from relmask.masks.appearance import PIXELS, Appearance

Show = Callable[[list[np.ndarray], list[np.ndarray]], list[np.ndarray]]

COLOUR = np.array([0.2, -0.1, 0.1], np.float32)


def plates(count: int = 3, side: int = 64) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Noisy plates (side, side, 3) with a square, and where it is."""
    rng = np.random.default_rng(0)
    images, masks = [], []
    for number in range(count):
        mask = np.zeros((side, side), bool)
        top, left = 8 + 7 * number, 30 - 6 * number
        mask[top : top + 16, left : left + 16] = True
        grey = 0.5 + 0.02 * rng.standard_normal((side, side)).astype(np.float32)
        images.append(np.repeat(grey[..., None], 3, -1))
        masks.append(mask)
    return images, masks


def dark(images: list[np.ndarray], masks: list[np.ndarray]) -> list[np.ndarray]:
    return [np.where(mask[..., None], image - 0.2, image) for image, mask in zip(images, masks, strict=True)]


def stained(images: list[np.ndarray], masks: list[np.ndarray]) -> list[np.ndarray]:
    return [
        np.where(mask[..., None], image + COLOUR - COLOUR.mean(), image)
        for image, mask in zip(images, masks, strict=True)
    ]


def smooth(images: list[np.ndarray], masks: list[np.ndarray]) -> list[np.ndarray]:
    return [
        np.where(mask[..., None], np.float32(0.5), image) for image, mask in zip(images, masks, strict=True)
    ]


@pytest.mark.parametrize("show", [dark, stained, smooth])
def test_the_right_mask_is_explained_better_than_a_wide_a_narrow_and_a_moved_one(show: Show) -> None:
    images, masks = plates()
    looks = Appearance(show(images, masks))
    right = looks.explains(masks)
    assert right > 0.4
    for other in (
        [binary_dilation(mask, iterations=6) for mask in masks],
        [binary_erosion(mask, iterations=5) for mask in masks],
        [np.roll(mask, 20, 0) for mask in masks],
    ):
        assert looks.explains(other) < 0.95 * right


def test_where_nothing_looks_unlike_the_rest_no_mask_is_explained() -> None:
    images, masks = plates()
    assert Appearance(images).explains(masks) < 0.05


def test_empty_and_full_masks_are_not_explained() -> None:
    images, masks = plates()
    looks = Appearance(dark(images, masks))
    assert looks.explains([np.zeros_like(mask) for mask in masks]) == 0
    assert looks.explains([np.ones_like(mask) for mask in masks]) == 0


def test_of_a_large_image_some_pixels_are_enough() -> None:
    side = 4 * round(PIXELS**0.5)
    mask = np.zeros((side, side), bool)
    mask[100:400, 200:500] = True
    image = np.where(mask[..., None], np.float32(0.2), np.full((side, side, 3), 0.5, np.float32))
    assert Appearance([image]).explains([mask]) > 0.9


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40), st.floats(0, 1))
def test_a_share_is_between_none_and_all(seed: int, height: int, width: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    image = rng.random((height, width, 3)).astype(np.float32)
    explained = Appearance([image]).explains([rng.random((height, width)) < share])
    assert -1e-6 <= explained <= 1 + 1e-6
