from functools import partial

import numpy as np

from relmask.report.sampling import SAMPLE, WORST, Album


def test_the_worst_are_kept_worst_first() -> None:
    album: Album[int] = Album()
    for number in np.random.default_rng(0).permutation(100).tolist():
        album.add(str(number), (float(number),), partial(int, number))
    assert album.worst == [*range(99, 99 - WORST, -1)]


def test_the_order_of_the_pictures_changes_nothing() -> None:
    pages = set()
    for seed in range(5):
        album: Album[int] = Album()
        for number in np.random.default_rng(seed).permutation(200).tolist():
            album.add(str(number), (float(number // 50),), partial(int, number))
        pages.add((*album.worst, *album.sample))
    assert len(pages) == 1


def test_what_is_without_fault_is_never_among_the_worst() -> None:
    album: Album[int] = Album()
    for number in range(30):
        album.add(str(number), (float(number),), partial(int, number), faulty=number == 3)
    assert album.worst == [3]
    assert 3 not in album.sample
    assert SAMPLE - 1 <= len(album.sample) <= SAMPLE


def test_the_sample_is_drawn_from_all_alike() -> None:
    counts = np.zeros(60)
    for turn in range(400):
        album: Album[int] = Album()
        for number in range(60):
            album.add(f"{turn}/{number}", (0.0,), partial(int, number), faulty=False)
        counts[album.sample] += 1
    assert counts.sum() == 400 * SAMPLE
    expected = 400 * SAMPLE / 60
    assert (((counts - expected) ** 2 / expected).sum()) < 90  # chi squared, 59 degrees of freedom: p = 0.005


def test_few_pictures_are_shown_once() -> None:
    album: Album[int] = Album()
    for number in range(5):
        album.add(str(number), (float(number),), partial(int, number))
    assert album.worst == [4, 3, 2, 1, 0]
    assert album.sample == []
