from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from relmask.masks.growth import GAP, KEPT, SURE, core, filled, grown, mostly_grown

Map = NDArray[Any]
SIZE = 32
ANOMALOUS = 3.0
PART = (slice(10, 14), slice(10, 14))
REST = (slice(8, 20), slice(10, 28))
APART = (slice(26, 30), slice(2, 8))


def relevance() -> Map:
    values = np.full((SIZE, SIZE), 0.01, np.float32)
    values[PART] = 1.0
    return values


def strange(*places: tuple[slice, slice]) -> Map:
    values = np.zeros((SIZE, SIZE), np.float32)
    for place in places:
        values[place] = 2 * ANOMALOUS
    return values


def test_what_stays_strange_beside_the_core_is_raised_and_what_is_apart_is_not() -> None:
    values, before = relevance(), strange(REST, APART)
    found = grown(values, before, before, ANOMALOUS)
    raised = found != values
    expected = before > 0
    expected[PART] = expected[APART] = False
    assert np.array_equal(raised, expected)
    assert np.all(found[raised] == np.float32(SURE))


def test_what_is_no_longer_strange_once_the_core_is_painted_over_is_left_as_it_was() -> None:
    values, before = relevance(), strange(REST)
    for share in (0.0, KEPT - 0.1):
        assert np.array_equal(grown(values, before, np.float32(share) * before, ANOMALOUS), values)


def test_nothing_relevant_stays_as_it_was() -> None:
    values = -relevance()
    assert not core(values).any()
    assert np.array_equal(grown(values, strange(REST), strange(REST), ANOMALOUS), values)


def test_a_class_grows_only_where_most_of_its_pictures_do() -> None:
    small = relevance()
    large = grown(small, strange(REST), strange(REST), ANOMALOUS)
    assert mostly_grown([small] * 3, [large, large, small])
    assert not mostly_grown([small] * 2, [large, small])
    assert not mostly_grown([], [])


def test_relevance_is_raised_in_the_holes_of_its_core() -> None:
    values = np.zeros((SIZE, SIZE), np.float32)
    values[8:16, 8:16] = 1.0
    values[11:13, 11:13] = 0.05
    found = grown(values, strange(), strange(), ANOMALOUS)
    assert not mostly_grown([values], [found])
    assert np.all(found[11:13, 11:13] == np.float32(SURE))
    found[11:13, 11:13] = values[11:13, 11:13]
    assert np.array_equal(found, values)


def test_the_hole_of_a_ring_is_filled_also_where_the_ring_is_open_a_little() -> None:
    ring = np.zeros((SIZE, SIZE), bool)
    ring[8:20, 8:20] = True
    ring[11:17, 11:17] = False
    whole = ring.copy()
    whole[11:17, 11:17] = True
    assert np.array_equal(filled(ring), whole)
    ring[13 : 13 + GAP, :11] = False
    assert filled(ring)[11:17, 11:17].all()


def test_what_a_network_of_cracks_encloses_stays_open() -> None:
    cracks = np.zeros((SIZE, SIZE), bool)
    cracks[[4, 27], 4:28] = cracks[4:28, [4, 27]] = True
    assert np.array_equal(filled(cracks), cracks)


@given(arrays.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_filling_adds_only_and_no_more_than_every_part_holds(mask: Map) -> None:
    found = filled(mask)
    assert found[mask].all()
    assert not found.any() or mask.any()
    mirrored = filled(mask[::-1, ::-1])[::-1, ::-1]
    assert np.array_equal(found, mirrored)
