import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools import mask as coco

from relmask.formats.runs import counts, drawn, drawn_band, from_text, to_text
from tests.formats.masks import binary

Inside = NDArray[np.bool_]


@given(binary)
def test_run_lengths_along_columns_are_those_of_the_coco_api(inside: Inside) -> None:
    code = coco.encode(np.asfortranarray(inside.astype(np.uint8)))
    lengths = counts(inside.T, inside.T.shape)
    assert to_text(lengths).encode() == code["counts"]
    np.testing.assert_array_equal(from_text(code["counts"].decode()), lengths)


@given(binary, st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
def test_a_region_has_the_runs_of_its_picture(
    inside: Inside, above: int, below: int, before: int, after: int
) -> None:
    whole = np.pad(inside, ((above, below), (before, after)))
    lengths = counts(inside, whole.shape, above, before)
    np.testing.assert_array_equal(lengths, counts(whole, whole.shape))
    np.testing.assert_array_equal(drawn(lengths, whole.shape), whole)
    band, top = drawn_band(lengths, whole.shape)
    np.testing.assert_array_equal(np.pad(band, ((top, len(whole) - len(band) - top), (0, 0))), whole)


@given(st.lists(st.integers(0, 2**31), min_size=1, max_size=20))
def test_text_keeps_lengths_of_any_size(lengths: list[int]) -> None:
    assert from_text(to_text(np.array(lengths))).tolist() == lengths


@pytest.mark.parametrize("text", ["\x00", "P", "pppppppppppppp0", "\x7f"])
def test_damaged_text_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="damaged"):
        from_text(text)


@pytest.mark.parametrize("lengths", [[3], [5, -1], [2**62, 2**62], [1.5, 2.5]])
def test_lengths_that_make_no_picture_are_a_value_error(lengths: list[int]) -> None:
    with pytest.raises(ValueError, match=r"add up|whole numbers"):
        drawn(lengths, (2, 2))
