import json
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

import relmask
from relmask.data.index import Index, read_index
from relmask.data.splits import read_split
from relmask.data.truth import read_truth
from relmask.evaluation.evaluate import evaluate_index
from relmask.evaluation.metrics import Metrics
from relmask.inference.run import Run
from relmask.synthetic.worlds import (
    CELLS,
    STAGES,
    cracked_roads,
    meat_going_off,
    spotted_cloth,
    stained_cells,
)
from tests.effort import LITTLE
from tests.worlds import six_per_class, two_defects


@pytest.mark.parametrize(
    ("write", "classes", "clean"),
    [
        (stained_cells, CELLS, None),
        (partial(stained_cells, depth="grey16"), CELLS, None),
        (meat_going_off, STAGES, "good"),
        (cracked_roads, ("crack",), "ok"),
        (spotted_cloth, ("spot",), "ok"),
        (two_defects, ("crack", "pit"), "ok"),
    ],
    ids=["cells", "grey16", "meat", "roads", "cloth", "two"],
)
def test_every_world_has_every_class_in_every_split_and_true_masks(
    write: Callable[[Path], None], classes: tuple[str, ...], clean: str | None, tmp_path: Path
) -> None:
    write(tmp_path)
    index = read_index(tmp_path)
    assert (index.classes, index.clean) == (classes, clean)
    for split in ("train", "val", "test"):
        assert {label for sample in index.part(split) for label in sample.labels} == set(classes)
    for sample in index.samples[:15]:
        found = {index.classes[k - 1] for k in np.unique(read_truth(sample, index)) if k}
        assert found == sample.labels


def test_grey_cells_use_more_than_eight_bits(tmp_path: Path) -> None:
    stained_cells(tmp_path, images=5, depth="grey16")
    with Image.open(tmp_path / "images" / "000.png") as image:
        values = np.asarray(image)
    assert values.dtype == np.uint16
    assert len(np.unique(values)) > 1000


def test_spots_on_cloth_are_three_to_nine_pixels_wide(tmp_path: Path) -> None:
    spotted_cloth(tmp_path, images=24)
    index = read_index(tmp_path)
    wide = []
    for sample in index.samples:
        if sample.labels:
            spots, _ = ndimage.label(read_truth(sample, index))
            wide += [max(side.stop - side.start for side in place) for place in ndimage.find_objects(spots)]
    assert len(wide) >= 12
    assert min(wide) >= 2
    assert np.median(wide) < 9  # two that touch are wider


def test_six_per_class_is_folders_of_pictures_alone(tmp_path: Path) -> None:
    six_per_class(tmp_path)
    index = read_index(tmp_path)
    assert (index.classes, index.clean, len(index.samples)) == (("crack", "pit"), "ok", 18)
    assert all(sample.mask is None and sample.split is None for sample in index.samples)


@dataclass(frozen=True)
class Journey:
    """What came of a world: trained, its test pictures segmented and evaluated."""

    run: Run
    index: Index
    warned: str
    out: Path
    metrics: Metrics


def travel(folder: Path, write: Callable[[Path], None], **choices: Any) -> Journey:  # noqa: ANN401
    """Train on a world, segment its test pictures, evaluate; check what holds in every world."""
    write(folder / "data")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        relmask.train(folder / "data", folder / "run", epochs=1, effort=LITTLE, **choices)
    run = relmask.load(folder / "run")
    index = read_index(folder / "data")
    lines = read_split(run.path / "split.csv")
    tested = [sample for sample in index.samples if lines[sample.name].split == "test"]
    outcome = relmask.segment_files(run, [sample.path for sample in tested], folder / "out", relevance=True)
    assert (outcome.images, outcome.failed) == (len(tested), ())
    masks = sorted((folder / "out" / "masks").rglob("*.png"))
    assert len(masks) == len(tested)
    for path in masks:
        with Image.open(path) as mask, Image.open(tested[0].path) as picture:
            assert mask.size == picture.size
            assert np.asarray(mask).max() <= len(index.classes)
    metrics = evaluate_index(run, index, "test", folder / "evaluation")
    check_metrics(json.loads((folder / "evaluation" / "metrics.json").read_text(encoding="utf-8")), index)
    assert (metrics.images, metrics.threshold.saw_masks) == (len(tested), False)
    said = "\n".join(str(warning.message) for warning in warned)
    return Journey(run, index, said, folder / "out", metrics)


def check_metrics(metrics: dict[str, Any], index: Index) -> None:
    """Every figure is null or finite, and each share lies between 0 and 1."""
    assert set(metrics["per_class"]) == set(index.classes)
    for scores in (metrics["pixel"], *metrics["per_class"].values()):
        assert all(value is None or 0 <= value <= 1 for value in scores.values())
    assert metrics["mean_iou"] is None or 0 <= metrics["mean_iou"] <= 1
    assert math.isfinite(metrics["seconds_per_image"])


@pytest.mark.parametrize(("depth", "backbone"), [("rgb", "vgg11"), ("grey16", "vgg-narrow")])
def test_cells_of_five_kinds_none_of_them_clean(
    tmp_path: Path, depth: Literal["rgb", "grey16"], backbone: str
) -> None:
    journey = travel(
        tmp_path, partial(stained_cells, depth=depth, size=64), backbone=backbone, size=64, batch_size=8
    )
    metadata = journey.run.metadata
    assert (metadata.clean, metadata.classes) == (None, CELLS)
    assert (
        "15 groups of images without a class: too few to guarantee a false-alarm rate of 1.0%"
        in journey.warned
    )
    assert journey.metrics.clean.images == 0
    assert journey.metrics.image.auroc is None
    assert all(0 <= (score or 0) <= 1 for score in journey.metrics.image.per_class.values())
    scale = metadata.input.intensity
    assert (
        (scale.low, scale.high) == (0, 65535) if depth == "rgb" else 1500 <= scale.low < scale.high <= 23000
    )


def test_meat_that_goes_off_in_stages(tmp_path: Path) -> None:
    journey = travel(tmp_path, meat_going_off, backbone="resnet34", size=64, batch_size=8)
    assert (journey.run.metadata.clean, journey.run.metadata.classes) == ("good", STAGES)
    assert journey.metrics.clean.images > 0
    assert journey.metrics.image.auroc is not None
    assert set(journey.metrics.image.per_class) == set(STAGES)


def test_two_defects_in_one_picture(tmp_path: Path) -> None:
    journey = travel(tmp_path, two_defects, size=64, false_alarms=0.2)
    assert journey.warned == ""
    both = [sample for sample in journey.index.part("test") if sample.labels == {"crack", "pit"}]
    assert both
    for sample in both:
        found = journey.run.segment(sample.path)
        assert set(found.scores) == {"crack", "pit"}
        assert {part.label for part in found.components} <= {"crack", "pit"}


def test_six_pictures_a_class_work_and_say_what_they_cannot_promise(tmp_path: Path) -> None:
    journey = travel(tmp_path, six_per_class, size=64)
    assert "No groups are known" in journey.warned
    assert "too few to guarantee a false-alarm rate of 1.0% (100 needed)" in journey.warned
    report = (journey.run.path / "report.html").read_text(encoding="utf-8")
    assert all(words in report for words in ("No groups are known", "(100 needed)"))
    assert journey.metrics.pixel.recall is None  # there are no true masks
    assert journey.metrics.image.auroc is not None
    assert (journey.run.metadata.calibration or pytest.fail("no thresholds")).cross_fitted
