import numpy as np
import pytest

from relmask.evaluation.bootstrap import interval, intervals
from relmask.evaluation.metrics import Tally


def tally(groups: int, alike: int, seed: int = 0) -> Tally:
    """Of each group `alike` pictures with the very same outcome."""
    rng = np.random.default_rng(seed)
    found = Tally(("crack",))
    for group in range(groups):
        truth = (rng.random((10, 10)) < 0.3 * (group % 2)).astype(np.uint8)
        mask = np.where(rng.random(truth.shape) < 0.7, truth, 0).astype(np.uint8)
        score = float(rng.random())
        for shot in range(alike):
            found.add(
                name=f"{group}-{shot}",
                group=str(group),
                labels=frozenset(["crack"] if truth.any() else []),
                mask=mask,
                truth=truth,
                relevance=None,
                called=bool(mask.any()),
                score=score,
                scores={"crack": score},
                maps={},
                peaks={"crack": group % 4 == 1} if truth.any() else {},
            )
    return found


def test_pictures_of_one_part_do_not_narrow_the_interval() -> None:
    once, thrice = intervals(tally(20, 1), resamples=400), intervals(tally(20, 3), resamples=400)
    for name in ("iou", "f1", "f1_tol2", "auroc"):
        assert getattr(once, name) == pytest.approx(getattr(thrice, name)), name


def test_intervals_hold_the_figure_and_narrow_with_more_groups() -> None:
    few, many = tally(10, 1), tally(160, 1)
    iou = many.pixel().iou
    (low, high), (lower, higher) = (intervals(t).iou or (0, 0) for t in (many, few))
    assert iou is not None
    assert low < iou < high
    assert high - low < 0.5 * (higher - lower)
    assert intervals(many).per_class["crack"] == (low, high)
    assert intervals(many).empty_share == (1.0, 1.0)


def test_the_shares_of_found_and_of_pointed_at_defects_have_intervals() -> None:
    found = tally(160, 1)
    ci, image = intervals(found), found.image()
    assert image.recall_at_gate == 0.0
    assert ci.recall_at_gate == (0.0, 0.0)
    assert image.peak_on_defect == 0.5
    assert ci.peak_on_defect is not None
    assert 0.3 < ci.peak_on_defect[0] < 0.5 < ci.peak_on_defect[1] < 0.7


def test_one_group_has_no_interval() -> None:
    found = intervals(tally(1, 3)).model_dump()
    assert found.pop("per_class") == {"crack": None}
    assert set(found.values()) == {None}


def test_a_resample_that_lacks_one_kind_is_left_out() -> None:
    assert interval(np.array([np.nan, 1.0])) == (1, 1)
    assert interval(np.array([np.nan, np.nan, 1.0])) is None
