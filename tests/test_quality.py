"""Masks from labels alone are worth something: a floor, so that the mask stage cannot rot without a red test.

One seed of a small training on generated surfaces, about a minute on one core. Measured when the floors were
set: F1 within 2 px 0.58, mean IoU 0.20, image AUROC 0.91, 0.87 of the clean images without a mask; with heads
that never learned F1 is 0.14 to 0.21. With levels a quarter or twice as high F1 is 0.47 and 0.50 and the mean
IoU 0.14; without gates 0.40 of the clean images have no mask; with relevance moved by 20 px F1 is 0.33.
"""

from dataclasses import dataclass

import pytest

import relmask
from relmask.data.index import read_index
from relmask.data.splits import read_split
from relmask.evaluation.controls import untrained
from relmask.evaluation.evaluate import choose, threshold_scores
from relmask.evaluation.measure import measure
from relmask.evaluation.metrics import Metrics
from relmask.inference.segmenter import Segmenter
from relmask.synthetic.surfaces import write_surfaces
from relmask.training.effort import Effort


@dataclass(frozen=True)
class Judged:
    """Test pictures of one training, segmented by the run and by the run with a head that never learned."""

    run: Metrics
    untrained: Metrics


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    folder = tmp_path_factory.mktemp("quality")
    write_surfaces(folder / "data", images=160, size=96)
    run = relmask.train(folder / "data", folder / "run", size=96, false_alarms=0.05, effort=Effort(checked=0))
    index = read_index(folder / "data")
    test = choose(index.samples, "test", read_split(folder / "run" / "split.csv"))

    def metrics(segmenter: Segmenter) -> Metrics:
        return measure(
            segmenter.segment_images,
            test,
            index,
            classes=segmenter.classes,
            intensity=segmenter.intensity,
        ).metrics(
            split="test", grouped=True, threshold=threshold_scores(segmenter.calibration, saw_masks=False)
        )

    never = Segmenter(untrained(run.classifier), run.metadata.classes, run.segmenter.calibration)
    return Judged(metrics(run.segmenter), metrics(never))


def test_masks_meet_the_defects(judged: Judged) -> None:
    assert judged.run.pixel.f1_tol2 is not None
    assert judged.run.pixel.f1_tol2 > 0.5
    assert judged.run.mean_iou is not None
    assert judged.run.mean_iou > 0.15


def test_defective_images_are_told_from_clean_ones(judged: Judged) -> None:
    assert judged.run.image.auroc is not None
    assert judged.run.image.auroc > 0.84


def test_clean_images_stay_without_a_mask(judged: Judged) -> None:
    assert judged.run.clean.empty_share is not None
    assert judged.run.clean.empty_share > 0.75


def test_a_head_that_never_learned_draws_other_masks(judged: Judged) -> None:
    assert (judged.untrained.pixel.f1_tol2 or 0) < 0.3
    assert (judged.untrained.mean_iou or 0) < 0.05
