import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import relmask
from relmask.data.index import read_index
from relmask.errors import RunError, UsageError
from relmask.segmenter import Run
from relmask.training import loop, segmentation
from relmask.training.distil import agreed, distil, own_mask
from relmask.training.mapped import VOID, Mapped

pytestmark = pytest.mark.usefixtures("few_steps")


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmentation, "STEPS", 4)


@pytest.fixture(scope="module")
def student(trained: Run, parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segmentation, "STEPS", 15)
        out = tmp_path_factory.mktemp("student") / "run"
        return distil(trained, parts, out, epochs=2, batch_size=8, precision="32-true")


def test_a_student_is_a_run_like_any_other(student: Run, parts: Path) -> None:
    loaded = relmask.load(student.path)
    sample = next(s for s in read_index(parts).samples if s.labels)
    result, same = student.segment(sample.path), loaded.segment(sample.path)
    assert np.array_equal(result.mask, same.mask)
    assert set(result.scores) == set(student.metadata.classes)
    assert result.mask.shape == np.asarray(Image.open(sample.path)).shape[:2]


def test_a_student_says_who_taught_it_and_that_no_mask_was_seen(student: Run, trained: Run) -> None:
    said = json.loads((student.path / "relmask.json").read_text())
    assert said["settings"]["teacher"] == str(trained.path.resolve())
    assert not said["saw_masks"]
    assert not said["calibration"]["saw_masks"]
