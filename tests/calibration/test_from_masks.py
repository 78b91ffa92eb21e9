from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from relmask.calibration.from_masks import choose_from_masks
from relmask.data.index import Index, read_index
from relmask.files import write_csv
from relmask.progress import silent
from tests.inference.test_segmenter import SIZE, segmenter

SAME = {name: np.array([0.3]) for name in ("red", "green")}
LEVELS = {name: np.array([0.1, 0.3, 0.6]) for name in ("red", "green")}


@pytest.fixture
def index(tmp_path: Path) -> Index:
    """A narrow and a wide defect, 0.9 red with 0.5 beside it, and a clean picture with three pixels of 0.5.

    Logits are sums of red: 1.9, 2.3 and 1.5.
    """
    rows = []
    for name, defect, beside in (("narrow", 1, 2), ("wide", 2, 1), ("clean", 0, 3)):
        pixels, mask = np.zeros((SIZE, SIZE, 3), np.uint8), np.zeros((SIZE, SIZE), np.uint8)
        pixels[4, : defect + beside, 0] = round(0.5 * 255)
        pixels[4, :defect, 0] = round(0.9 * 255)
        mask[4, :defect] = 255
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
        Image.fromarray(mask).save(tmp_path / f"{name}-mask.png")
        rows.append((f"{name}.png", "red" if defect else "ok", f"{name}-mask.png" if defect else ""))
    write_csv(tmp_path / "index.csv", ("image", "label", "mask"), rows)
    return read_index(tmp_path / "index.csv")


def test_the_level_with_the_highest_pooled_iou_is_taken(index: Index) -> None:
    chosen = segmenter(gates=(1, 99))
    samples = [sample for sample in index.samples if sample.labels]
    found = choose_from_masks(chosen.model, [chosen.calibration], LEVELS, samples, index, silent)
    assert found.saw_masks
    assert found.classes["red"].level == 0.6
    assert found.classes["green"] == chosen.calibration.classes["green"]  # none meets a true mask


def test_false_masks_on_clean_pictures_count_against_a_gate(index: Index) -> None:
    open_, strict = segmenter(gates=(1, 99)), segmenter(gates=(1.7, 99))
    tried = [strict.calibration, open_.calibration]
    found = choose_from_masks(open_.model, tried, SAME, index.samples, index, silent)
    assert found.classes["red"].gate == 1.7
    without = [sample for sample in index.samples if sample.labels]
    found = choose_from_masks(open_.model, tried, SAME, without, index, silent)
    assert found.classes["red"].gate == 1  # both do as well: the last of what was tried


def test_a_defect_that_its_gate_stops_counts_as_missed(index: Index) -> None:
    open_, strict = segmenter(gates=(1, 99)), segmenter(gates=(2.1, 99))
    samples = [sample for sample in index.samples if sample.labels]
    levels = dict.fromkeys(SAME, np.array([0.6]))  # masks of both pictures are exact
    tried = [open_.calibration, strict.calibration]
    found = choose_from_masks(strict.model, tried, levels, samples, index, silent)
    assert found.classes["red"].gate == 1
