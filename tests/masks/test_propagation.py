import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from relmask.masks.propagation import propagate, walk

Map = NDArray[np.float32]
GRID = (12, 16)
PLACES = np.s_[:, 6:]


def two_textures() -> Map:
    """Features (C, h, w): one texture in the first six columns, another beside it."""
    features = np.random.default_rng(0).normal(0, 0.1, (4, *GRID)).astype(np.float32)
    features[:, *PLACES] += 2
    return features


def evidence(row: int, column: int) -> Map:
    found = np.zeros(GRID, np.float32)
    found[row, column] = 1
    return found


def test_a_walk_stays_in_the_texture_that_it_began_in() -> None:
    found = walk(evidence(3, 8), two_textures())
    inside, outside = found[PLACES], found[:, :6]
    assert inside.min() > 5 * outside.max()
    assert found[3, 8] == found.max()


def test_where_all_looks_alike_evidence_fades_with_the_distance() -> None:
    found = walk(evidence(6, 8), np.zeros((1, *GRID), np.float32))
    assert (np.diff(found[6, 8:]) < 0).all()
    assert (np.diff(found[6:, 8]) < 0).all()
    assert found.min() > 0


@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 3), st.integers(1, 7), st.integers(1, 7)),
        elements=st.floats(-1e3, 1e3, width=32),
    ),
    st.data(),
)
def test_what_a_walk_finds_lies_between_the_least_and_the_most_evidence(
    features: Map, data: st.DataObject
) -> None:
    there = data.draw(arrays.arrays(np.float32, features.shape[1:], elements=st.floats(0, 1e3, width=32)))
    found = walk(there, features)
    slack = 1e-6 * (1 + there.max())
    assert there.min() - slack <= found.min() <= found.max() <= there.max() + slack


def test_half_of_the_relevance_is_spread_and_half_stays() -> None:
    relevance = np.zeros((48, 64), np.float32)
    relevance[12:16, 32:36] = 8
    found = propagate(relevance, two_textures())
    assert found.dtype == np.float32
    assert found.shape == relevance.shape
    assert 7 < found.max() <= 8
    defect, rest = found[:, 28:], found[:, :20]
    assert defect.min() > 0.03 * 8 > rest.max()


def test_where_nothing_is_relevant_nothing_is_spread() -> None:
    relevance = np.full((48, 64), -0.5, np.float32)
    assert np.array_equal(propagate(relevance, two_textures()), relevance)
