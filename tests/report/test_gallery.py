from functools import partial
from pathlib import Path

import numpy as np
import pytest

from relmask.report import Album, Picture, Shot, gallery, limit, write_report
from relmask.report.gallery import LONGEST
from relmask.report.sampling import SAMPLE, WORST

MOST_BYTES = 16_000_000
"""Of a page, whatever its pictures hold."""


def shot(rng: np.random.Generator, height: int, width: int) -> Shot:
    image = rng.random((height, width, 3), np.float32)
    relevance = rng.normal(0, 1, (height, width)).astype(np.float32)
    mask = (rng.random((height, width)) < 0.5).astype(np.uint8)
    return Shot.of(image, relevance, mask, mask)


def test_a_thin_line_stays_in_a_small_mask() -> None:
    mask = np.zeros((3000, 2000), np.uint8)
    mask[:, 1234] = 2
    small = Shot.of(np.zeros((3000, 2000, 3), np.float32), None, mask)
    assert small.mask.shape == (LONGEST, round(LONGEST * 2 / 3))
    assert set(np.unique(small.mask)) == {0, 2}
    assert (small.mask == 2).any(axis=1).all()


def test_a_small_picture_stays_as_it_is() -> None:
    rng = np.random.default_rng(0)
    image, mask = rng.random((20, 30, 3), np.float32), rng.integers(0, 3, (20, 30), np.uint8)
    relevance = rng.random((20, 30), np.float32)
    small = Shot.of(image, relevance, mask)
    np.testing.assert_array_equal(small.mask, mask)
    assert small.relevance is not None
    np.testing.assert_allclose(small.relevance, relevance, rtol=1e-6)
    assert list(small.views(1.0)) == ["picture", "relevance", "mask"]
    assert list(Shot.of(image, None, mask, mask).views(1.0)) == ["picture", "relevance", "mask", "true mask"]


def test_relevance_has_one_scale_for_all_pictures() -> None:
    one = Shot.of(np.zeros((10, 10, 3), np.float32), np.full((10, 10), 2.0), np.zeros((10, 10), np.uint8))
    none = Shot.of(np.zeros((10, 10, 3), np.float32), None, np.zeros((10, 10), np.uint8))
    assert limit([none, one]) == pytest.approx(2)
    assert limit([none]) == 1


def test_ten_thousand_large_pictures_of_noise_make_a_page_of_bounded_size(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    few = [shot(rng, 400, 400) for _ in range(4)]
    album: Album[Shot] = Album()
    made = 0

    def make(number: int) -> Shot:
        nonlocal made
        made += 1
        return few[number % 4]

    for number in range(10_000):
        album.add(str(number), (float(rng.random()),), partial(make, number))
    assert made < 400, "pictures that are not kept are not made"
    shown = [*album.worst, *album.sample]
    assert WORST < len(shown) <= WORST + SAMPLE
    pictures = [Picture(str(number), kept.views(1.0)) for number, kept in enumerate(shown)]
    write_report(tmp_path / "report.html", "noise", [gallery("all", pictures)])
    assert (tmp_path / "report.html").stat().st_size < MOST_BYTES


def test_views_that_a_picture_lacks_do_not_shift_the_others() -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    html = gallery(
        "g",
        [
            Picture("a", {"picture": pixels, "mask": pixels, "true mask": pixels}),
            Picture("b", {"true mask": pixels}),
        ],
    ).html
    assert 'max="2"' in html
    assert 'data-stop="2"><img decoding="async" alt="true mask of b"' in html
