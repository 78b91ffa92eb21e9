"""Masks from labels alone are worth something: a floor, so that the masks cannot rot without a red test.

One seed of a small training on generated surfaces, about a minute on one core. Measured when the floors were
set, any defect: F1 within 2 px 0.74, IoU 0.44; image AUROC 0.93; 0.93 of the clean images without a mask.
Heads that never learned have F1 0.13 to 0.28 and IoU 0.08 to 0.11 behind the same gates. Faults tried:

| fault | F1 within 2 px | IoU |
|---|---|---|
| masks too small (levels twice, three times as high) | 0.52, 0.22 | 0.18, 0.03 |
| masks too large (levels a quarter as high) | 0.65 | 0.349 |
| maps moved by 6, by 20 px | 0.56, 0.20 | 0.30, 0.08 |
| maps shuffled, transposed | 0.17, 0.20 | 0.07, 0.09 |
| maps of another class, of the opposite sign | 0.09, 0.01 | 0.03, 0.00 |

Without gates only 0.47 of the clean images have no mask.
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
    write_surfaces(folder / "data", images=160, size=112)
    run = relmask.train(folder / "data", folder / "run", size=112, false_alarms=0.1, effort=Effort(checked=0))
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
    assert judged.run.pixel.f1_tol2 > 0.62
    assert judged.run.pixel.iou is not None
    assert judged.run.pixel.iou > 0.35


def test_defective_images_are_told_from_clean_ones(judged: Judged) -> None:
    assert judged.run.image.auroc is not None
    assert judged.run.image.auroc > 0.85


def test_clean_images_stay_without_a_mask(judged: Judged) -> None:
    assert judged.run.clean.empty_share is not None
    assert judged.run.clean.empty_share > 0.75


def test_a_head_that_never_learned_draws_other_masks(judged: Judged) -> None:
    assert (judged.untrained.pixel.f1_tol2 or 0) < 0.4
    assert (judged.untrained.pixel.iou or 0) < 0.2
