import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter
from skimage.filters import threshold_otsu

from relmask.masks.settings import WINDOWS, MaskSettings
from relmask.masks.support import Fit, looks, otsu_of_roots, support

Map = NDArray[np.float32]
Mask = NDArray[np.bool_]
SIDE = 128
USUAL = MaskSettings()
FINE = MaskSettings(colours=(0.7,), grains=(0.7,))
"""Looks at nothing that is wider than a pixel or two."""
PLAIN = MaskSettings(own=1, power=1)
"""Support is relevance."""


def disc(radius: float, y: float = 60, x: float = 70) -> Mask:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    inside: Mask = np.hypot(rows - y, columns - x) <= radius
    return inside


def seen(inside: Mask, blur: float) -> Map:
    """Relevance of a network whose locations are as wide as the blur."""
    blurred: Map = gaussian_filter(inside.astype(np.float32), blur)
    return blurred


def spotted(spot: Mask, *, grey: bool = False, noise: float = 0.02) -> Map:
    """Grey with a little noise, and a red spot; or a dark one, in a picture without colour."""
    rng = np.random.default_rng(0)
    picture = 0.5 + noise * rng.standard_normal((SIDE, SIDE, 3))
    picture[spot] += [0.3, -0.2, -0.2]
    if grey:
        picture[:] = 0.5 + noise * rng.standard_normal((SIDE, SIDE, 1))
        picture[spot] -= 0.25
    return picture.clip(0, 1).astype(np.float32)


def iou(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / (one | other).sum())


def otsu(relevance: Map) -> Mask:
    above: Mask = relevance > threshold_otsu(relevance)
    return above


@pytest.mark.parametrize("grey", [False, True], ids=["red", "dark"])
@pytest.mark.parametrize("radius", [8, 12, 20])
def test_of_relevance_three_times_as_wide_the_mask_is_what_looks_alike(radius: int, grey: bool) -> None:
    spot = disc(radius)
    relevance = seen(disc(3 * radius), radius)
    mask = support(relevance, spotted(spot, grey=grey), FINE) > 1
    assert not (binary_erosion(spot) & ~mask).any()
    assert not (mask & ~binary_dilation(spot, iterations=3)).any()
    assert iou(mask, spot) > 0.7
    assert iou(otsu(relevance), spot) < 0.2


@pytest.mark.parametrize("grey", [False, True], ids=["red", "dark"])
@pytest.mark.parametrize("radius", [8, 12, 20])
def test_a_mask_ends_near_the_spot_though_looks_are_taken_from_around_a_pixel(
    radius: int, grey: bool
) -> None:
    spot = disc(radius)
    relevance = seen(disc(3 * radius), radius)
    mask = support(relevance, spotted(spot, grey=grey), USUAL) > 1
    reach = 2 * max(*USUAL.colours, *USUAL.grains) + USUAL.smoothing
    assert not (binary_erosion(spot) & ~mask).any()
    assert (mask & ~disc(radius + reach)).mean() < 0.01
    assert iou(mask, spot) > 2.5 * iou(otsu(relevance), spot)


@pytest.mark.parametrize("settings", [USUAL, FINE], ids=["usual", "fine"])
def test_of_two_spots_that_look_alike_the_faint_one_is_masked_as_well(settings: MaskSettings) -> None:
    bold, faint = disc(8, 40, 40), disc(8, 90, 90)
    relevance = seen(bold, 6) + np.float32(0.1) * seen(faint, 6)
    mask = support(relevance, spotted(bold | faint), settings) > 1
    for spot in (bold, faint):
        assert (mask & spot).sum() > 0.95 * spot.sum()
    assert not (otsu(relevance) & faint).any()
    assert not (mask & ~binary_dilation(bold | faint, iterations=8)).any()


@pytest.mark.parametrize("radius", [4, 6])
def test_a_second_fit_leaves_out_more_of_what_only_lies_beside_a_spot(radius: int) -> None:
    spot = disc(radius)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    relevance = np.exp(-((rows - 60) ** 2 + (columns - 70) ** 2) / 300).astype(np.float32)
    picture = spotted(spot, grey=True, noise=0.1)
    once, twice = (support(relevance, picture, MaskSettings(fits=fits)) > 1 for fits in (1, 2))
    assert not (binary_erosion(spot) & ~twice).any()
    assert (twice & ~spot).sum() < 0.95 * (once & ~spot).sum()


@pytest.mark.parametrize("peaks", [4, 12])
def test_a_threshold_among_the_background_is_taken_again(peaks: int) -> None:
    """Otsu's threshold splits a background of two shades, if little is bolder."""
    rng = np.random.default_rng(0)
    relevance = np.where(disc(30), 0.05, 0.01) * rng.uniform(0.9, 1.1, (SIDE, SIDE))
    bold = np.zeros((SIDE, SIDE), bool)
    bold.flat[rng.choice(bold.size, peaks, replace=False)] = True
    relevance[bold] = 1
    assert np.array_equal(support(relevance.astype(np.float32), spotted(bold), PLAIN) > 1, bold)


@pytest.mark.parametrize("seed", range(3))
def test_where_looks_tell_nothing_the_mask_stays_within_relevance(seed: int) -> None:
    noise = np.random.default_rng(seed).random((SIDE, SIDE, 3), np.float32)
    spot = disc(12)
    relevance = seen(spot, 3)
    mask = support(relevance, noise, USUAL) > 1
    assert (mask & (relevance < 0.01 * relevance.max())).sum() < 0.03 * mask.sum()
    assert mask.sum() > 0.4 * spot.sum()


def test_a_defect_that_differs_by_its_texture_alone_is_found() -> None:
    noise, spot = np.random.default_rng(0).standard_normal((SIDE, SIDE)), disc(14)
    smooth = gaussian_filter(noise, 1.5)
    grain = np.where(spot, smooth * 0.4 / smooth.std(), noise)  # as bright, on average
    picture = np.repeat((0.5 + 0.12 * grain).clip(0, 1).astype(np.float32)[..., None], 3, axis=-1)
    relevance = seen(disc(28), 10)
    mask = support(relevance, picture, USUAL) > 1
    assert iou(mask, spot) > 0.75
    assert iou(otsu(relevance), spot) < 0.25


def test_relevance_that_is_nowhere_positive_supports_nothing() -> None:
    picture = spotted(disc(8))
    for relevance in (np.zeros((SIDE, SIDE), np.float32), -seen(disc(8), 3)):
        found = support(relevance, picture, USUAL)
        assert found.shape == (SIDE, SIDE)
        assert found.dtype == np.float32
        assert not found.any()


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1e6])
def test_the_scale_of_relevance_does_not_matter(scale: float) -> None:
    relevance, picture = seen(disc(12), 6), spotted(disc(10))
    plain, scaled = (support(np.float32(by) * relevance, picture, USUAL) for by in (1, scale))
    np.testing.assert_allclose(scaled, plain, rtol=1e-3, atol=1e-5)
    assert np.array_equal(support(4 * relevance, picture, USUAL), plain)


def test_what_speaks_against_the_class_counts_as_what_says_nothing() -> None:
    picture = spotted(disc(10))
    relevance = seen(disc(12), 6)
    against = np.where(relevance > 0.01, relevance, np.float32(-3))
    found = support(against, picture, USUAL)
    assert np.array_equal(found, support(against.clip(min=0), picture, USUAL))


def test_the_same_again_is_the_same_and_nothing_is_written_to() -> None:
    relevance, picture = seen(disc(12), 6), spotted(disc(10))
    relevance.setflags(write=False)
    picture.setflags(write=False)
    assert np.array_equal(support(relevance, picture, USUAL), support(relevance, picture, USUAL))


def test_mirrored_pictures_have_mirrored_masks() -> None:
    relevance, picture = seen(disc(12), 6), spotted(disc(10))
    mask = support(relevance, picture, USUAL) > 1
    for axis in (0, 1):
        mirrored = support(np.flip(relevance, axis).copy(), np.flip(picture, axis).copy(), USUAL) > 1
        assert iou(np.flip(mirrored, axis), mask) > 0.99


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (3, 200)])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_tiny_pictures_of_one_colour_have_a_support(shape: tuple[int, int], value: float) -> None:
    picture = np.full((*shape, 3), value, np.float32)
    rising = np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape)
    for relevance in (rising, np.ones(shape, np.float32), -rising):
        found = support(relevance, picture, USUAL)
        assert found.shape == shape
        assert np.isfinite(found).all()
        assert (found >= 0).all()


@pytest.mark.parametrize("step", [1e-7, 1e-6, 1e-5, 1e-4])
def test_relevance_that_is_almost_even_is_no_error(step: float) -> None:
    relevance = np.ones((16, 16), np.float32)
    relevance[:4] += np.float32(step)
    picture = np.full((16, 16, 3), 0.5, np.float32)
    for settings in (USUAL, MaskSettings(own=0), MaskSettings(own=1)):
        assert support(relevance, picture, settings) == pytest.approx(1, abs=0.01)
    assert otsu_of_roots([relevance]) == pytest.approx(1, abs=0.01)


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
        lambda shape: st.tuples(
            arrays(np.float32, shape, elements=st.floats(-(2**20), 2**20, width=32)),
            arrays(np.float32, (*shape, 3), elements=st.floats(0, 1, width=32)),
        )
    ),
    st.sampled_from([USUAL, FINE, MaskSettings(own=0), MaskSettings(own=1, smoothing=0)]),
)
def test_support_is_finite_and_at_least_0_whatever_comes(
    given_: tuple[Map, Map], settings: MaskSettings
) -> None:
    relevance, picture = given_
    found = support(relevance, picture, settings)
    assert found.shape == relevance.shape
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert found.any() <= (relevance > 0).any()


def test_a_large_picture_takes_seconds_and_a_few_hundred_bytes_a_pixel() -> None:
    rng = np.random.default_rng(0)
    picture = rng.random((1500, 2000, 3), np.float32)
    relevance = gaussian_filter(rng.random((1500, 2000), np.float32), 20)
    tracemalloc.start()
    began = time.process_time()
    support(relevance, picture, USUAL)
    took, most = time.process_time() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert took < 30
    assert most < 300 * relevance.size


def test_looks_are_colour_at_each_scale_and_roughness() -> None:
    picture = np.full((16, 16, 3), [0.6, 0.3, 0.3], np.float32)
    found = looks(picture, USUAL)
    assert found.shape == (3 * len(USUAL.colours) + len(USUAL.grains), 16, 16)
    assert found.dtype == np.float32
    for start in range(0, 3 * len(USUAL.colours), 3):
        np.testing.assert_allclose(found[start : start + 3, 8, 8], [0.4, 0.2, -0.1], atol=1e-6)
    rough = picture + 0.05 * np.random.default_rng(0).standard_normal((16, 16, 1)).astype(np.float32)
    assert (looks(rough, USUAL)[-2:] > found[-2:] + 1).all()


def test_the_fit_is_a_quadratic_of_the_looks() -> None:
    """What depends on brightness by a parabola is predicted as it is, with next to no ridge."""
    picture = np.repeat(np.random.default_rng(0).random((40, 40, 1), np.float32), 3, axis=-1)
    settings = MaskSettings(colours=(0.5,), grains=(1.4,), ridge=1e-8)
    bright = looks(picture, settings)[0]
    share = 4 * (bright - 0.5) ** 2
    np.testing.assert_allclose(Fit(picture, settings).predicted(share), share, atol=0.01)


def test_otsu_of_roots_parts_bold_and_faint_from_nothing() -> None:
    relevance = np.random.default_rng(0).uniform(0.01, 0.05, (32, 32)).astype(np.float32)
    relevance[8:14, 8:14] = 1.0
    relevance[20:26, 20:26] = 0.4
    threshold = otsu_of_roots([relevance])
    assert 0.05 < threshold < 0.4
    assert otsu_of_roots([9 * relevance]) == pytest.approx(9 * threshold, rel=1e-3)
    empty = np.zeros((4, 4), np.float32)
    assert otsu_of_roots([empty, -relevance, relevance]) == threshold
    assert otsu_of_roots([]) == otsu_of_roots([empty]) == 1


def test_relevance_below_the_floor_says_nothing() -> None:
    spot, elsewhere = disc(8, 40, 40), disc(20, 90, 90)
    relevance = seen(spot, 4) + np.float32(0.2) * seen(elsewhere, 4)
    picture = spotted(spot)
    assert not support(relevance, picture, USUAL, floor=1.1).any()
    above = support(relevance, picture, USUAL, floor=0.25) > 1
    assert (above & spot).sum() > 0.95 * spot.sum()
    assert not (above & elsewhere).any()


def test_with_its_own_relevance_alone_a_picture_does_not_matter() -> None:
    relevance = seen(disc(8), 4)
    one, other = (support(relevance, spotted(disc(radius)), WINDOWS) for radius in (8, 20))
    assert np.array_equal(one, other)
    assert np.array_equal(one > 1, relevance > otsu_of_roots([relevance]))
