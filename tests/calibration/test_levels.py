from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from relmask.calibration.levels import (
    ABOVE,
    FALLBACK,
    LEVELS,
    MARGINS,
    choose_level,
    choose_propagated_level,
    otsu_level,
)

Masks = list[NDArray[np.bool_]]


def spot(height: float, width: int) -> NDArray[np.float32]:
    """A square of relevance over a low background with noise, (32, 32)."""
    rng = np.random.default_rng(width)
    values = 0.05 * height * rng.random((32, 32))
    values[8 : 8 + width, 8 : 8 + width] = height * (0.8 + 0.2 * rng.random((width, width)))
    return values.astype(np.float32)


def hiding(*hidden: NDArray[np.bool_]) -> Callable[[Masks], float]:
    """Images are clean once a mask hides all of this."""
    return lambda masks: float(np.mean([mask[part].all() for mask, part in zip(masks, hidden, strict=True)]))


def looking(mask: NDArray[np.bool_]) -> Callable[[Masks], float]:
    """What is in the mask looks alike, and unlike the rest: how much of it masks share."""
    return lambda masks: float(np.mean([(mask & one).sum() / (mask | one).sum() for one in masks]))


def indifferent(masks: Masks) -> float:
    return 0.0


away = np.hypot(*np.mgrid[-20:21, -20:21])
fading = np.exp(-away / 4).astype(np.float32)
"""Falls off from 1 in the middle."""


@pytest.mark.parametrize("radius", [3, 12])
def test_a_mask_reaches_as_far_as_the_image_must_be_hidden_to_be_clean(radius: int) -> None:
    extent, _ = choose_level([fading] * 4, hiding(*[away <= radius] * 4), indifferent)
    assert extent == pytest.approx(MARGINS[0] * np.exp(-radius / 4), rel=0.45)
    assert (fading > extent)[away <= radius].all()


def test_of_masks_that_suffice_the_one_is_taken_whose_pixels_look_alike() -> None:
    hidden = hiding(away <= 5)
    found = [choose_level([fading], hidden, looking(away <= radius)) for radius in (5, 7)]
    near, far = ((fading > extent).sum() for extent, _ in found)
    assert near < far
    assert all(likeness > 0.7 for _, likeness in found)


def test_what_looks_alike_far_around_does_not_widen_masks_beyond_what_must_be_hidden() -> None:
    extent, _ = choose_level([fading], hiding(away <= 3), looking(away <= 18))
    assert extent >= MARGINS[0] * LEVELS[np.exp(-3 / 4) > LEVELS].max()


def test_where_hiding_tells_nothing_what_looks_alike_decides_alone() -> None:
    for radius in (2, 6, 12):
        extent, _ = choose_level([fading], lambda masks: 0.0, looking(away <= radius))
        assert extent == pytest.approx(np.exp(-radius / 4), rel=0.45)


def test_masks_so_wide_that_hiding_them_makes_a_picture_suspicious_do_not_count() -> None:
    def cleaned(masks: Masks) -> float:
        return 1.0 if 20 < masks[0].sum() < 200 else 0.6

    narrow = choose_level([fading], cleaned, indifferent)[0]
    assert narrow > MARGINS[0] * LEVELS[0]
    assert 20 < (fading > narrow / MARGINS[0]).sum() < 200


def test_some_images_may_stay_suspicious_whatever_is_hidden() -> None:
    never = np.ones_like(away, bool)
    assert choose_level([fading] * 3, hiding(away <= 3, away <= 3, never), indifferent) == (
        choose_level([fading] * 2, hiding(away <= 3, away <= 3), indifferent)
    )


def test_the_height_of_the_peaks_does_not_matter() -> None:
    hidden, looks = hiding(away <= 5), looking(away <= 5)
    assert len({choose_level([height * fading], hidden, looks) for height in (1e-6, 1, 1e6)}) == 1


@pytest.mark.parametrize(
    "maps",
    [[], [np.zeros((4, 4), np.float32)], [np.full((4, 4), -1, np.float32)]],
    ids=["none", "zero", "less"],
)
def test_without_relevance_a_usual_share_is_taken(maps: list[NDArray[np.float32]]) -> None:
    assert choose_level(maps, lambda masks: 1.0, lambda masks: 1.0) == (FALLBACK, 0.0)


def test_an_image_without_relevance_has_nothing_to_hide() -> None:
    seen: list[list[int]] = []

    def cleaned(masks: Masks) -> float:
        seen.append([int(mask.sum()) for mask in masks])
        return 1.0

    maps = [np.zeros((32, 32), np.float32), spot(1, 6)]
    assert choose_level(maps, cleaned, indifferent)[0] <= LEVELS[-1]
    assert {first for first, _ in seen} == {0}


def test_spread_relevance_is_cut_at_otsus_threshold_or_where_it_is_more_alike_above() -> None:
    otsu = otsu_level([fading])
    assert choose_propagated_level([fading], indifferent)[0] == pytest.approx(otsu)
    extent, likeness = choose_propagated_level([7 * fading], looking(fading > 2 * otsu))
    assert extent == pytest.approx(2 * otsu, rel=0.1)
    assert likeness > 0.85
    narrowest = choose_propagated_level([fading], looking(fading >= 1))[0]
    assert narrowest <= ABOVE[-1] * otsu * 1.001
    assert narrowest < 1


def test_an_otsu_extent_parts_defect_from_background_and_follows_the_scale() -> None:
    maps = [spot(1, 6), spot(2, 9), spot(1.5, 7)]
    assert 0.05 < otsu_level(maps) < 0.8
    assert otsu_level([7 * values for values in maps]) == pytest.approx(7 * otsu_level(maps), rel=1e-3)


def test_an_otsu_extent_leaves_maps_without_relevance_out() -> None:
    empty = np.zeros((4, 4), np.float32)
    assert otsu_level([empty, spot(1, 6)]) == otsu_level([spot(1, 6)])
    assert otsu_level([empty]) == FALLBACK
