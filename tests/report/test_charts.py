import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmask.report import Line, bars, curves

numbers = st.floats(-1e6, 1e6)


def points(svg: str) -> list[list[tuple[float, float]]]:
    lines = [element.attrib["points"] for element in ElementTree.fromstring(svg).iter("polyline")]
    return [[(float(x), float(y)) for x, y in (pair.split(",") for pair in line.split())] for line in lines]


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=20))
def test_every_point_lies_within_the_drawing(pairs: list[tuple[float, float]]) -> None:
    x, y = zip(*pairs, strict=True)
    (drawn,) = points(curves([Line("a", x, y)], x_label="x", y_label="y"))
    assert len(drawn) == len(pairs)
    assert all(0 <= across <= 460 and 0 <= down <= 260 for across, down in drawn)


def test_more_is_higher_and_further_right() -> None:
    ((first, second, third),) = points(curves([Line("a", [0, 1, 2], [0, 10, 30])], x_label="x", y_label="y"))
    assert first[0] < second[0] < third[0]
    assert first[1] > second[1] > third[1]
    assert second[0] - first[0] == pytest.approx(third[0] - second[0], abs=0.11)


def test_values_that_are_not_finite_are_left_out() -> None:
    (drawn,) = points(curves([Line("a", [0, 1, 2], [0, float("nan"), 1])], x_label="x", y_label="y"))
    assert len(drawn) == 2


def test_bars_stand_for_all_values_and_only_for_them() -> None:
    values = np.random.default_rng(0).normal(0.5, 0.4, 50)
    svg = bars({"a": values.tolist()}, x_label="score", bins=10, marks={"threshold": 0.5})
    tree = ElementTree.fromstring(svg)
    heights = [float(bar.attrib["height"]) for bar in tree.iter("rect")]
    counts = np.histogram(values.clip(0, 1), np.linspace(0, 1, 11))[0]
    assert np.array(heights) / max(heights) == pytest.approx(counts[counts > 0] / counts.max(), abs=0.01)
    assert "threshold" in "".join(tree.itertext())


def test_ticks_are_round_numbers() -> None:
    svg = curves([Line("a", [0, 7.3], [0.013, 0.0894])], x_label="x", y_label="y")
    ticks = re.findall(r'class="side"[^>]*>([^<]+)<', svg)
    assert ticks == ["0.02", "0.04", "0.06", "0.08"]
