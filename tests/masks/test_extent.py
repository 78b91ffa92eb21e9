from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from relmask.masks.extent import FALLBACK, MARGIN, choose_extent, otsu_extent


def spot(height: float, width: int) -> NDArray[np.float32]:
    """A square of relevance over a low background with noise, (32, 32)."""
    rng = np.random.default_rng(width)
    values = 0.05 * height * rng.random((32, 32))
    values[8 : 8 + width, 8 : 8 + width] = height * (0.8 + 0.2 * rng.random((width, width)))
    return values.astype(np.float32)


def hiding(*hidden: NDArray[np.bool_]) -> Callable[[list[NDArray[np.bool_]]], float]:
    """Images are clean once a mask hides all of this."""
    return lambda masks: float(np.mean([mask[part].all() for mask, part in zip(masks, hidden, strict=True)]))


def test_a_mask_reaches_as_far_as_the_image_must_be_hidden_to_be_clean() -> None:
    # Falls off from 1 in the middle; a disc of 3 px is all that the classifier goes by, or one of 12 px.
    away = np.hypot(*np.mgrid[-20:21, -20:21])
    values = np.exp(-away / 4).astype(np.float32)
    small, large = (choose_extent([values] * 4, hiding(*[away <= radius] * 4)) for radius in (3, 12))
    assert small == pytest.approx(MARGIN * np.exp(-3 / 4), rel=0.45)
    assert large == pytest.approx(MARGIN * np.exp(-12 / 4), rel=0.45)
    assert (values > small)[away <= 3].all()
    assert (values > large)[away <= 12].all()


def test_some_images_may_stay_suspicious_whatever_is_hidden() -> None:
    away = np.hypot(*np.mgrid[-20:21, -20:21])
    values = np.exp(-away / 4).astype(np.float32)
    never = np.ones_like(away, bool)
    assert choose_extent([values] * 3, hiding(away <= 3, away <= 3, never)) == pytest.approx(
        choose_extent([values] * 2, hiding(away <= 3, away <= 3))
    )


def test_the_height_of_the_peaks_does_not_matter() -> None:
    away = np.hypot(*np.mgrid[-20:21, -20:21])
    values = np.exp(-away / 4).astype(np.float32)
    found = {choose_extent([height * values], hiding(away <= 5)) for height in (1e-6, 1, 1e6)}
    assert len(found) == 1


@pytest.mark.parametrize(
    "maps",
    [[], [np.zeros((4, 4), np.float32)], [np.full((4, 4), -1, np.float32)]],
    ids=["none", "zero", "less"],
)
def test_without_relevance_a_usual_share_is_taken(maps: list[NDArray[np.float32]]) -> None:
    assert choose_extent(maps, lambda masks: 1.0) == FALLBACK


def test_where_hiding_cleans_nothing_a_usual_share_is_taken() -> None:
    assert choose_extent([spot(1, 6)], lambda masks: 0.0) == FALLBACK


def test_an_image_without_relevance_has_nothing_to_hide() -> None:
    seen: list[list[int]] = []

    def cleaned(masks: list[NDArray[np.bool_]]) -> float:
        seen.append([int(mask.sum()) for mask in masks])
        return 1.0

    assert choose_extent([np.zeros((32, 32), np.float32), spot(1, 6)], cleaned) <= 0.32
    assert {first for first, _ in seen} == {0}


def test_an_otsu_extent_parts_defect_from_background_and_follows_the_scale() -> None:
    maps = [spot(1, 6), spot(2, 9), spot(1.5, 7)]
    assert 0.05 < otsu_extent(maps) < 0.8
    assert otsu_extent([7 * values for values in maps]) == pytest.approx(7 * otsu_extent(maps), rel=1e-3)


def test_an_otsu_extent_leaves_maps_without_relevance_out() -> None:
    empty = np.zeros((4, 4), np.float32)
    assert otsu_extent([empty, spot(1, 6)]) == otsu_extent([spot(1, 6)])
    assert otsu_extent([empty]) == FALLBACK
