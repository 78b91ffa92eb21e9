from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from relmask.data.index import read_index
from relmask.data.truth import read_truth
from tests.worlds import CELLS, FOOD, food_going_off, six_per_class, stained_cells, two_defects


@pytest.mark.parametrize(
    ("write", "classes", "clean"),
    [
        (stained_cells, CELLS, None),
        (partial(stained_cells, depth="grey16"), CELLS, None),
        (food_going_off, FOOD, "good"),
        (two_defects, ("crack", "pit"), "ok"),
    ],
    ids=["cells", "grey16", "food", "two"],
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


def test_six_per_class_is_folders_of_pictures_alone(tmp_path: Path) -> None:
    six_per_class(tmp_path)
    index = read_index(tmp_path)
    assert (index.classes, index.clean, len(index.samples)) == (("crack", "pit"), "ok", 18)
    assert all(sample.mask is None and sample.split is None for sample in index.samples)
