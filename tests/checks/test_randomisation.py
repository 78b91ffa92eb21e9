from dataclasses import dataclass, field

import numpy as np
import pytest

from relmask.arrays import FloatArray, Mask
from relmask.checks.randomisation import added_area, dependence, randomised
from relmask.checks.redrawn import WayBack
from relmask.checks.subjects import Drawn, Judged
from relmask.checks.verdict import Area
from relmask.progress import silent

SIDE = 20


def square(top: int, left: int, side: int = 4) -> Mask:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[top : top + side, left : left + side] = True
    return mask


@dataclass
class Maps:
    """Draws the same map for any picture, and others once layers are redrawn."""

    delivered: Drawn
    others: dict[int, FloatArray]  # by number of layers
    layers: int = 6
    head: int = 2
    asked: list[tuple[int, int]] = field(default_factory=list)

    def drawn(self, image: FloatArray, k: int) -> Drawn:
        return self.delivered

    def redrawn(self, image: FloatArray, k: int, count: int, seed: int) -> FloatArray:
        self.asked.append((count, seed))
        return self.others[count]

    def way_back(self, image: FloatArray, k: int, seed: int) -> WayBack | None:
        return None


class Anywhere(Maps):
    """Draws noise once layers are redrawn."""

    def redrawn(self, image: FloatArray, k: int, count: int, seed: int) -> FloatArray:
        return np.random.default_rng(seed).random((SIDE, SIDE), dtype=np.float32)


def judged(subject: Maps, name: str = "a", label: str = "pit") -> Judged:
    image = np.zeros((SIDE, SIDE, 3), np.float32)
    return Judged(name, 0, label, image, subject.drawn(image, 0))


def subject(mask: Mask, plain: Mask | None, *others: FloatArray) -> Maps:
    """Maps whose layers give `others`, from the head alone to all."""
    counts = np.linspace(2, 6, len(others)).astype(int).tolist()
    return Maps(Drawn(mask, mask.astype(np.float32), plain), dict(zip(counts, others, strict=True)))


def falling(mask: Mask) -> FloatArray:
    """A map that is high inside of a mask, and lower everywhere else, from pixel to pixel."""
    return (2 * mask + np.linspace(1, 0, mask.size).reshape(mask.shape)).astype(np.float32)


def test_masks_are_compared_in_as_many_pixels_from_the_head_to_all_layers() -> None:
    maps = subject(square(0, 0), None, falling(square(0, 2, 8)), falling(square(0, 2)), falling(square(9, 9)))
    steps, areas = randomised(maps, [judged(maps), judged(maps, "b")], 3, 7, silent)
    assert [(step.redrawn, step.layers) for step in steps] == [(2, 6), (4, 6), (6, 6)]
    assert steps[1].iou == pytest.approx(8 / 24)
    assert steps[2].iou == 0
    # the first map is high in eight rows, of which the sixteen highest pixels are the two uppermost
    assert steps[0].iou == pytest.approx(4 / 28)
    assert areas == ()
    assert maps.asked == [(2, 7), (4, 7), (6, 7), (2, 11), (4, 11), (6, 11)]


def test_the_head_and_all_layers_are_judged_by_the_first_and_the_last_step() -> None:
    same = subject(square(0, 0), None, falling(square(0, 0)), falling(square(9, 9)))
    steps, _ = randomised(same, [judged(same)], 2, 0, silent)
    assert [(finding.name, finding.passed, finding.figure) for finding in dependence(steps)] == [
        ("head", False, 1.0),
        ("layers", True, 0.0),
    ]


def test_without_masks_nothing_is_compared() -> None:
    maps = subject(square(0, 0), None, falling(square(0, 0)), falling(square(0, 0)))
    assert randomised(maps, [], 2, 0, silent) == ((), ())
    assert [finding.passed for finding in (*dependence([]), added_area([]))] == [None] * 3


def test_an_added_area_that_random_heads_mask_too_is_no_evidence() -> None:
    mask, plain = square(0, 0, 10), square(0, 0, 2)
    for head, passed, share in ((mask, False, 1.0), (square(10, 10, 10), True, 0.0)):
        maps = subject(mask, plain, falling(head), falling(head))
        _, areas = randomised(maps, [judged(maps)], 2, 0, silent)
        assert [(area.mask, area.added) for area in areas] == [(100, 96)]
        finding = added_area(areas)
        assert finding.passed is passed
        assert finding.figure == pytest.approx(share)
        assert "covers 4% of the masks of pit" in finding.says


def test_what_chance_alone_masks_does_not_count_as_independent() -> None:
    """Of a mask of half the picture two heads that look anywhere meet a quarter of what was added."""
    mask = np.zeros((SIDE, SIDE), bool)
    mask[:10] = True
    maps = Anywhere(Drawn(mask, mask.astype(np.float32), np.zeros_like(mask)), {})
    _, areas = randomised(maps, [judged(maps)], 2, 0, silent)
    assert areas[0].added == 200
    assert areas[0].independent < 10


def test_only_added_areas_are_judged_by_more_than_one_head() -> None:
    for plain, heads in ((square(0, 0), 1), (square(0, 0, 1), 2)):
        maps = subject(square(0, 0), plain, falling(square(0, 0)), falling(square(0, 0)))
        randomised(maps, [judged(maps)], 2, 0, silent)
        assert sum(count == 2 for count, _ in maps.asked) == heads


def test_another_model_is_tried_where_one_has_no_evidence() -> None:
    mask = square(0, 0)
    maps = subject(mask, mask, falling(mask), np.zeros((SIDE, SIDE), np.float32))
    steps, _ = randomised(maps, [judged(maps)], 2, 0, silent)
    assert [seed for count, seed in maps.asked if count == 6] == [0, 1, 2, 3]
    assert (steps[-1].iou, steps[-1].rank_correlation) == (0, 0)


def area(label: str, mask: int, added: int, independent: float) -> Area:
    return Area(picture="a", label=label, mask=mask, added=added, independent=independent)


def test_the_class_whose_added_area_depends_least_on_the_labels_decides() -> None:
    areas = [
        area("fray", 100, 90, 30),
        area("break", 10, 8, 7),
        area("break", 10, 8, 3),
        area("pit", 9, 0, 0),
    ]
    finding = added_area(areas)
    assert finding.passed is False
    assert finding.figure == pytest.approx(10 / 16)
    assert "covers 20% of the masks of break; of the added area 62%" in finding.says
    assert added_area(areas[:1]).passed


def test_a_class_to_whose_masks_next_to_nothing_was_added_passes() -> None:
    finding = added_area([area("pit", 100, 9, 9.0), area("crack", 50, 0, 0)])
    assert (finding.passed, finding.figure) == (True, 0.0)
