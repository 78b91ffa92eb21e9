import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import relmask
from relmask.calibration.calibrate import calibrate
from relmask.checks import check
from relmask.data.index import Index, Sample, read_index
from relmask.data.splits import assign, write_split
from relmask.errors import OutError, RunError, UsageError
from relmask.files import write_csv
from relmask.inference.run import Run
from relmask.inference.segmentation import SegmentationModel
from relmask.training.distil import agreed, distil
from relmask.training.effort import Effort
from relmask.training.pixel_dataset import VOID, PixelDataset
from tests.effort import LITTLE

pytestmark = pytest.mark.filterwarnings("ignore:Only 3 groups of clean images:UserWarning")  # validation's


@pytest.fixture(scope="module")
def student(trained: Run, parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out, effort = tmp_path_factory.mktemp("student") / "run", Effort(steps=15)
    return distil(trained, parts, out, epochs=2, batch_size=8, precision="32-true", effort=effort)


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
    assert not said["trained_on_masks"]
    assert not said["calibration"]["saw_masks"]


def test_a_student_is_calibrated_anew_like_any_run(student: Run, parts: Path, tmp_path: Path) -> None:
    copy = Run(tmp_path, student.metadata, student.model)
    write_split(assign(read_index(parts)), tmp_path / "split.csv")
    assert calibrate(copy, parts) == calibrate(copy, parts)
    assert copy.metadata.architecture == student.metadata.architecture


def test_a_student_is_checked_but_not_as_an_explanation(student: Run, parts: Path, tmp_path: Path) -> None:
    copy = Run(tmp_path, student.metadata, student.model)
    write_split(assign(read_index(parts)), tmp_path / "split.csv")
    found = {finding.name: finding.passed for finding in check(copy, parts, pictures=1).findings}
    assert found["labels"] is not None
    assert found["area"] is found["weights"] is found["conserved"] is None


def test_no_true_mask_is_read(
    trained: Run, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*_: object) -> None:
        raise AssertionError("a true mask was opened")

    monkeypatch.setattr("relmask.training.distil.read_truth", opened)
    monkeypatch.setattr("relmask.calibration.from_masks.read_truth", opened)
    small(trained, parts, tmp_path)


def test_masks_that_a_person_corrected_are_learned_from_and_it_is_said(
    trained: Run, parts: Path, tmp_path: Path
) -> None:
    run = small(trained, parts, tmp_path, masks=parts)
    assert run.metadata.trained_on_masks
    assert run.metadata.saw_masks
    assert run.metadata.calibration is not None
    assert not run.metadata.calibration.saw_masks  # its thresholds come from labels
    trained_on = [s for s in read_index(parts).part("train") if s.mask]
    assert run.metadata.settings["corrected"] == len(trained_on)
    assert not small(trained, parts, tmp_path / "none").metadata.saw_masks


def test_a_student_learns_in_inference_mode(trained: Run, parts: Path, tmp_path: Path) -> None:
    with torch.inference_mode():
        teacher = relmask.load(trained.path)
        student = distil(teacher, parts, tmp_path / "student", epochs=1, precision="32-true", effort=LITTLE)
    assert student.metadata.calibration is not None


def test_a_stopped_student_goes_on(trained: Run, parts: Path, tmp_path: Path) -> None:
    def stop(task: str, done: int, total: int, note: str = "") -> None:
        if task == "scoring":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small(trained, parts, tmp_path, progress=stop)
    with pytest.raises(OutError, match="--resume"):
        small(trained, parts, tmp_path)
    assert small(trained, parts, tmp_path, resume=True).metadata.calibration


class Bright(nn.Module):
    """Says of bright pixels that they show the first of three classes."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = torch.full((len(images), 3, *images.shape[2:]), -9.0)
        logits[:, 0] += 18.0 * (images.mean(1) > 0)
        return logits


def test_the_second_round_keeps_what_both_agree_on(student: Run) -> None:
    spec = student.metadata.input
    values = torch.zeros(spec.size, spec.size, dtype=torch.uint8)
    values[:, : spec.size // 2] = 1
    image = torch.zeros(3, spec.size, spec.size, dtype=torch.uint8)
    image[:, : spec.size // 2] = 255
    targets = torch.tensor([[1.0, 0, 0], [0, 0, 0], [1, 0, 0]])
    names = ("a", "clean", "drawn")
    dataset = PixelDataset(
        names, [image] * 3, [values, torch.zeros_like(values), values], targets, (spec.size,)
    )
    drawn = Index(
        Path(),
        tuple(Sample(Path(n), n, frozenset(), n, mask=Path(n) if n == "drawn" else None) for n in names),
        (),
        None,
    )
    says = SegmentationModel(Bright(), spec, student.model.device)
    maps = agreed(dataset, says, drawn).maps
    found, clean, kept = (maps[number] for number in range(3))
    half = spec.size // 2
    assert (found[:half, :half] == 1).all()
    assert (found[:half, half:] == VOID).all()
    assert (found[half:, :half] == VOID).all()
    assert not found[half:, half:].any()
    assert not clean.any()
    assert torch.equal(kept, values)


def test_a_run_without_thresholds_cannot_teach(trained: Run, parts: Path, tmp_path: Path) -> None:
    bare = Run(trained.path, trained.metadata.model_copy(update={"calibration": None}), trained.model)
    with pytest.raises(RunError, match="relmask calibrate"):
        distil(bare, parts, tmp_path / "run")


def test_classes_that_the_teacher_does_not_know_are_refused(
    trained: Run, parts: Path, tmp_path: Path
) -> None:
    rows = [(s.path, "dent" if s.labels else "ok") for s in read_index(parts).samples]
    write_csv(tmp_path / "index.csv", ("image", "label"), rows)
    with pytest.raises(UsageError, match="dent"):
        distil(trained, tmp_path / "index.csv", tmp_path / "run")


def small(teacher: Run, data: Path, folder: Path, **choices: Any) -> Run:  # noqa: ANN401 - of distil
    out = folder / "student"
    return distil(teacher, data, out, epochs=1, batch_size=2, precision="32-true", effort=LITTLE, **choices)
