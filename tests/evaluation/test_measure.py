import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from relmask.data.index import Index, read_index
from relmask.data.reading import Intensity
from relmask.data.truth import read_truth
from relmask.errors import DataError
from relmask.evaluation.cases import badness
from relmask.evaluation.controls import CONTROLS, Control
from relmask.evaluation.measure import Look, Measured, measure, measure_control, peaks_on_truth
from relmask.evaluation.metrics import Metrics, ThresholdScores
from relmask.evaluation.results import write_results
from relmask.inference.segmenter import Segmentation
from relmask.synthetic.surfaces import write_surfaces

CLASSES = ("pit", "crack", "patch")  # not the order of the index
THRESHOLD = ThresholdScores(level={"pit": 0.05}, saw_masks=False)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    folder = tmp_path_factory.mktemp("surfaces")
    write_surfaces(folder, images=72, size=80)
    return read_index(folder)


def in_order(
    index: Index, answer: Callable[[NDArray[np.uint8]], Segmentation]
) -> Callable[..., Sequence[Segmentation]]:
    """A segmenter that knows the true masks of the test split, and answers in its own order of classes."""
    own = np.array([0, *(CLASSES.index(name) + 1 for name in index.classes)], np.uint8)
    truths = iter([own[read_truth(sample, index)] for sample in index.part("test")])
    return lambda images: [answer(next(truths)) for _ in images]


def perfect(truth: NDArray[np.uint8]) -> Segmentation:
    scores = {name: float((truth == k).any()) for k, name in enumerate(CLASSES, start=1)}
    defect = bool(truth.any())
    relevance = (truth > 0).astype(np.float32) if defect else None
    maps = {
        name: (truth == k).astype(np.float32) for k, name in enumerate(CLASSES, start=1) if (truth == k).any()
    }
    return Segmentation(truth, relevance, scores, float(defect), "defect" if defect else "clean", (), maps)


def blind(truth: NDArray[np.uint8]) -> Segmentation:
    return Segmentation(np.zeros_like(truth), None, dict.fromkeys(CLASSES, 0.1), 0.1, "clean", ())


def measured(
    index: Index, answer: Callable[[NDArray[np.uint8]], Segmentation], look: Look | None = None
) -> Measured:
    segment = in_order(index, answer)
    return measure(segment, index.part("test"), index, classes=CLASSES, intensity=Intensity(), look=look)


def metrics(found: Measured) -> Metrics:
    return found.metrics(split="test", grouped=True, threshold=THRESHOLD, resamples=50)


def test_perfect_masks_score_one_whatever_the_order_of_classes(index: Index) -> None:
    scores = metrics(measured(index, perfect))
    assert scores.images == len(index.part("test"))
    assert scores.groups == len({sample.group for sample in index.part("test")})
    assert scores.pixel.model_dump() == pytest.approx(dict.fromkeys(scores.pixel.model_dump(), 1.0))
    assert {name: class_scores.iou for name, class_scores in scores.per_class.items()} == dict.fromkeys(
        CLASSES, 1.0
    )
    assert scores.mean_iou == scores.image.auroc == scores.image.accuracy == scores.clean.empty_share == 1.0
    assert scores.ci95.iou == (1.0, 1.0)


def test_where_the_relevance_peaks_is_asked_only_of_classes_below_their_gates(index: Index) -> None:
    asked: list[str] = []

    def look(image: NDArray[np.float32], name: str) -> NDArray[np.float32] | None:
        asked.append(name)
        return None if name == "patch" else np.zeros(image.shape[:2], np.float32)

    found = metrics(measured(index, perfect, look)).image
    assert (found.recall_at_gate, found.peak_on_defect, asked) == (1.0, 1.0, [])
    missed = metrics(measured(index, blind, look)).image
    assert (missed.recall_at_gate, missed.peak_on_defect) == (0.0, 0.0)
    assert set(asked) == set(CLASSES)
    assert metrics(measured(index, blind)).image.peak_on_defect is None


def test_a_peak_lies_on_the_defect_where_its_own_class_is() -> None:
    truth = np.zeros((6, 6), np.uint8)
    truth[1, 1], truth[4, 4] = 1, 2
    maps = {name: np.zeros((6, 6), np.float32) for name in ("pit", "crack")}
    maps["pit"][1, 1] = maps["crack"][1, 1] = 1
    assert peaks_on_truth(truth, CLASSES, maps.get) == {"pit": True, "crack": False}


def test_masks_that_are_all_empty_score_zero_but_spare_the_clean(index: Index) -> None:
    scores = metrics(measured(index, blind))
    assert (scores.pixel.iou, scores.pixel.recall, scores.pixel.precision) == (0.0, 0.0, None)
    assert scores.clean.empty_share == 1.0
    assert scores.image.auroc == 0.5


def test_the_worst_case_comes_first_and_faultless_ones_are_no_worst_cases(index: Index) -> None:
    turns = iter(range(1000))

    def sometimes_blind(truth: NDArray[np.uint8]) -> Segmentation:
        return blind(truth) if next(turns) % 2 else perfect(truth)

    worst = measured(index, sometimes_blind).cases.worst
    assert worst
    assert all(not case.outcome.called and case.outcome.labels for case in worst)
    assert worst == sorted(worst, key=lambda case: badness(case.outcome), reverse=True)
    assert not measured(index, perfect).cases.worst


def test_results_can_be_read_back(index: Index, tmp_path: Path) -> None:
    turns = iter(range(1000))
    found = measured(index, lambda truth: blind(truth) if next(turns) % 3 == 0 else perfect(truth))
    scores = metrics(found)
    write_results(tmp_path, scores, found)
    assert Metrics.model_validate_json((tmp_path / "metrics.json").read_text(encoding="utf-8")) == scores
    with (tmp_path / "images.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == [sample.name for sample in index.part("test")]
    assert set(rows[0]) >= {"labels", "called", "f1_tol2", "score_crack"}
    points = json.loads((tmp_path / "curves.json").read_text(encoding="utf-8"))["crack"]["precision_recall"]
    assert len(points["recall"]) == len(points["precision"]) > 0
    assert len(list((tmp_path / "worst").iterdir())) == len(found.cases.worst)
    with Image.open(next(iter((tmp_path / "worst").iterdir()))) as panel:
        assert panel.size == (4 * 80 + 3 * 4, 80)
    assert "Worst cases" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_control_gets_the_threshold_that_is_best_on_the_same_images(index: Index) -> None:
    samples = index.part("test")
    truths = iter([read_truth(sample, index) for sample in samples])
    cheat = Control("cheat", lambda image: 3.0 + (next(truths) > 0))
    threshold, found = measure_control(cheat, samples, index, intensity=Intensity())
    assert 3.0 < threshold <= 4.0
    assert found.tally.pixel().iou == 1.0
    assert found.tally.classes == ()
    assert found.tally.image().auroc == 1.0


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_surfaces_defeat_the_controls(control: Control, tmp_path: Path) -> None:
    write_surfaces(tmp_path, images=100)
    index = read_index(tmp_path)
    _, found = measure_control(control, index.samples[:60], index, intensity=Intensity())
    score = found.tally.pixel().f1_tol2
    assert score is not None
    assert 0.02 < score < 0.5


def test_broken_images_are_left_out_and_told(tmp_path: Path) -> None:
    write_surfaces(tmp_path, images=40, size=64)
    index = read_index(tmp_path)
    broken = index.part("test")[0]
    broken.path.write_bytes(b"not an image")
    answers = lambda images: [blind(np.zeros(image.shape[:2], np.uint8)) for image in images]  # noqa: E731
    found = measure(answers, index.part("test"), index, classes=CLASSES, intensity=Intensity())
    assert list(found.failed) == [broken.name]
    assert len(found.tally.outcomes) == len(index.part("test")) - 1
    with pytest.raises(DataError, match="--split"):
        measure(answers, (), index, classes=CLASSES, intensity=Intensity())


def test_defective_images_without_a_mask_count_as_images_only(tmp_path: Path) -> None:
    write_surfaces(tmp_path, images=40, size=64)
    for mask in (tmp_path / "masks").iterdir():
        mask.unlink()
    lines = (tmp_path / "index.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "index.csv").write_text(
        "\n".join(line.rpartition(",")[0] + "," for line in lines).replace("split,", "split,mask")
    )
    index = read_index(tmp_path)
    answers = lambda images: [blind(np.zeros(image.shape[:2], np.uint8)) for image in images]  # noqa: E731
    found = measure(answers, index.part("test"), index, classes=CLASSES, intensity=Intensity())
    scores = metrics(found)
    assert scores.pixel.recall is None
    assert scores.image.auroc == 0.5
    write_results(tmp_path / "out", scores, found)
    assert "have no true mask" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_what_tells_defect_from_background_only_has_a_page_too(index: Index, tmp_path: Path) -> None:
    _, found = measure_control(CONTROLS[0], index.part("test"), index, intensity=Intensity())
    write_results(tmp_path, metrics(found), found)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "any defect" in page
    assert "What was taken for what" not in page
