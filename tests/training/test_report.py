import re
from pathlib import Path

import numpy as np
import pytest

from relmask.checks import Check
from relmask.checks.verdict import Finding
from relmask.data.index import Sample
from relmask.inference.run import Run
from relmask.masks.thresholds import Calibration, ClassThresholds
from relmask.training.folder import CHECK
from relmask.training.report import check_verdict, judge, run_facts
from tests.jobs.fakes import METADATA


def calibration(saw_masks: bool = False) -> Calibration:
    chosen = ClassThresholds(clean_median=0, clean_spread=1, gate=2, level=0.2, slope=1, offset=-1)
    return Calibration(
        classes={"crack": chosen, "pit": chosen.model_copy(update={"clean_median": 1, "gate": 3})},
        false_alarms=0.01,
        slope=2,
        offset=-2,
        saw_masks=saw_masks,
        negatives=9,
        groups=9,
        cross_fitted=False,
    )


def sample(*labels: str) -> Sample:
    return Sample(Path("/a.png"), "a.png", frozenset(labels), "a")


def test_pictures_are_judged_by_their_gates_alone() -> None:
    logits = np.array([[3.0, 0.0], [1.9, 2.9], [0.0, 3.5]])
    found = judge([sample("crack"), sample(), sample("crack")], logits, calibration())
    assert [item.called for item in found] == [True, False, True]
    assert found[0].score == pytest.approx(1 / (1 + np.exp(-4)))
    assert found[0].scores["pit"] == pytest.approx(1 / (1 + np.exp(1)))
    assert [item.badness[0] for item in found] == [0, 0, 1], "the last is called a pit"
    missed, imagined = judge([sample("pit"), sample()], np.array([[0.0, 0.0], [4.0, 0.0]]), calibration())
    assert missed.badness[0] == imagined.badness[0] == 2


def test_a_gate_of_all_classes_has_one_score() -> None:
    assert calibration().gate_score == pytest.approx(1 / (1 + np.exp(-2)))
    classes = calibration().classes
    apart = {**classes, "pit": classes["pit"].model_copy(update={"gate": 5})}
    assert calibration().model_copy(update={"classes": apart}).gate_score is None


@pytest.mark.parametrize(
    ("trained", "tuned", "said"),
    [
        (False, False, "no: the run comes from labels alone"),
        (True, False, "yes, by training"),
        (False, True, "yes, by the choice of thresholds"),
        (True, True, "yes, by training and by the choice of thresholds"),
    ],
)
def test_the_page_says_whether_training_or_thresholds_saw_masks(
    trained: bool, tuned: bool, said: str
) -> None:
    changed = {"trained_on_masks": trained, "calibration": calibration(saw_masks=tuned)}
    metadata = METADATA.model_copy(update=changed)
    assert metadata.saw_masks == (trained or tuned)
    assert f"<dt>Saw true masks</dt><dd>{said}</dd>" in run_facts(metadata).html


def test_the_page_of_a_training_shows_split_scores_confusion_and_pictures(trained: Run) -> None:
    page = (trained.path / "report.html").read_text(encoding="utf-8")
    titles = re.findall(r"<h2 [^>]*>(.*?)</h2>", page)
    for title in ("On the validation split", "Pictures of each class", "Training", "What was taken for what"):
        assert title in titles
    assert "Thresholds" in titles
    assert "The run" in titles
    shown = re.findall(r"<figcaption><b>(.*?)</b>", page)
    validation = {
        line.split(",")[0] for line in (trained.path / "split.csv").read_text().splitlines() if ",val" in line
    }
    assert shown
    assert set(shown) <= validation
    assert "true mask</span>" not in page


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"verdict": "words"}'])
def test_a_verdict_that_is_not_there_is_not_shown(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / CHECK).write_text(content)
    assert check_verdict(tmp_path) == []


@pytest.mark.parametrize("passed", [True, False])
def test_a_verdict_is_shown_with_its_tests_and_a_bad_one_stands_out(passed: bool, tmp_path: Path) -> None:
    found = Check(
        passed=passed,
        verdict="The masks are <b>.",
        findings=(Finding(name="conserved", passed=passed, says="Nearly all arrived."),),
        cascade=(),
        deletion=(),
        conserved=(),
        pictures=(),
        labelled=0,
        seconds=1,
    )
    (tmp_path / CHECK).write_text(found.model_dump_json())
    (section,) = check_verdict(tmp_path)
    assert "The masks are &lt;b&gt;." in section.html
    assert f"<td>{'passed' if passed else 'failed'}</td><td>Nearly all arrived.</td>" in section.html
    assert ("warning" in section.html) != passed
