import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from relmask.formats.brush import decode, encode
from tests.formats.masks import binary

Inside = NDArray[np.bool_]

INSIDE = np.zeros((5, 70), bool)
INSIDE[0, 0] = INSIDE[1, 11] = INSIDE[4, 69] = True
INSIDE[1, 3:9] = INSIDE[2] = True
# What Label Studio's own converter makes of INSIDE (mask2rle of its brush module, repeated by its Rust port).
RECORDED: list[int] = [
    0,
    0,
    5,
    120,
    57,
    27,
    252,
    127,
    252,
    4,
    124,
    3,
    11,
    255,
    206,
    1,
    31,
    254,
    231,
    0,
    224,
    34,
    255,
    252,
    8,
    172,
    2,
    63,
    240,
]


def whole(code: list[int], shape: tuple[int, ...]) -> Inside:
    band, top = decode(code, (shape[0], shape[1]))
    return np.pad(band, ((top, shape[0] - len(band) - top), (0, 0)))


def values_of(code: list[int]) -> list[int]:
    """A reader that follows the format's description bit by bit, and knows nothing of masks."""
    bits = "".join(f"{byte:08b}" for byte in code)
    place = 0

    def read(count: int) -> int:
        nonlocal place
        place += count
        return int(bits[place - count : place], 2)

    number, word = read(32), read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < number:
        repeated, size = read(1), sizes[read(2)]
        length = read(size) + 1
        values += [read(word)] * length if repeated else [read(word) for _ in range(length)]
    return values


def test_the_code_is_that_of_label_studio() -> None:
    assert encode(INSIDE, (5, 70)) == RECORDED
    np.testing.assert_array_equal(whole(RECORDED, INSIDE.shape), INSIDE)


@given(binary)
def test_the_code_says_what_the_description_of_the_format_says(inside: Inside) -> None:
    size = inside.shape[0], inside.shape[1]
    code = encode(inside, size)
    assert values_of(code) == np.repeat(inside.ravel() * 255, 4).tolist()
    np.testing.assert_array_equal(whole(code, size), inside)


@pytest.mark.parametrize("rows", [1, 200, 400])  # 400 rows of 400 pixels are more than one block
def test_runs_longer_than_a_block_are_split(rows: int) -> None:
    inside = np.zeros((400, 400), bool)
    inside[:rows, 1:] = True
    code = encode(inside, (400, 400))
    assert values_of(code) == np.repeat(inside.ravel() * 255, 4).tolist()
    np.testing.assert_array_equal(whole(code, inside.shape), inside)


@given(binary, st.integers(0, 3), st.integers(0, 3))
def test_a_region_has_the_code_of_its_picture(inside: Inside, above: int, before: int) -> None:
    padded = np.pad(inside, ((above, 1), (before, 2)))
    size = padded.shape[0], padded.shape[1]
    assert encode(inside, size, above, before) == encode(padded, size)


def test_the_browser_s_colours_and_values_one_by_one_are_read() -> None:
    """A pixel of 200, 10, 0 and alpha 255, one of alpha 100, as values that are not repeated."""
    values = [200, 10, 0, 255, 200, 10, 0, 100]
    bits = f"{8:032b}{7:05b}" + "".join(f"{length - 1:04b}" for length in (3, 4, 8, 16))
    bits += "0" + "00" + f"{7:03b}" + "".join(f"{value:08b}" for value in values)
    bits += "0" * (-len(bits) % 8)
    code = [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]
    np.testing.assert_array_equal(whole(code, (1, 2)), [[True, False]])


@pytest.mark.parametrize(
    ("code", "reason"),
    [([], "ends too early"), (RECORDED[:12], "ends too early"), ([0] * 20, "holds 0 values"), ([300], ".")],
)
def test_a_damaged_code_is_an_error(code: list[int], reason: str) -> None:
    with pytest.raises((ValueError, OverflowError), match=reason):
        decode(code, (5, 70))
