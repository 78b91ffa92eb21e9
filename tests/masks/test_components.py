import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage

from relmask.masks.components import Component, find_components

CLASSES = ("crack", "pit")
MASKS = arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 2))


@given(MASKS)
def test_components_are_those_of_scipy_class_by_class(mask: NDArray[np.uint8]) -> None:
    expected = []
    for k, name in enumerate(CLASSES, start=1):
        parts, _ = ndimage.label(mask == k, np.ones((3, 3)))
        for number, (rows, columns) in enumerate(ndimage.find_objects(parts), start=1):
            area = int((parts == number).sum())
            expected.append(Component(name, area, (columns.start, rows.start, columns.stop, rows.stop)))
    found = find_components(mask, CLASSES)
    assert sorted(map(repr, found)) == sorted(map(repr, expected))
    assert [part.area for part in found] == sorted((part.area for part in found), reverse=True)


def test_neighbours_of_two_classes_are_two_components() -> None:
    found = find_components(np.array([[1, 1, 2]], np.uint8), CLASSES)
    assert found == (Component("crack", 2, (0, 0, 2, 1)), Component("pit", 1, (2, 0, 3, 1)))


def test_an_empty_mask_has_none() -> None:
    assert find_components(np.zeros((4, 4), np.uint8), CLASSES) == ()
