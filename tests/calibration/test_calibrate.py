import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import relmask
from relmask.calibration.calibrate import FACTORS, calibrate
from relmask.data.index import Sample, read_index
from relmask.data.patches import cut_patches
from relmask.errors import DataError, UsageError
from relmask.files import write_csv
from relmask.inference.explained import ExplainedClassifier
from relmask.inference.run import Run
from relmask.masks.thresholds import Calibration
from relmask.models.kept_scores import read_scores
from tests.effort import LITTLE
from tests.formats.masks import exported


@pytest.fixture
def run(trained: Run, tmp_path: Path) -> Run:
    shutil.copytree(trained.path, tmp_path / "run")
    return relmask.load(tmp_path / "run")


def test_new_thresholds_are_written_and_the_weights_stay(run: Run, parts: Path) -> None:
    before = (run.path / "model.safetensors").read_bytes()
    found = calibrate(run, parts, false_alarms=0.45)
    assert (found.false_alarms, found.saw_masks, found.cross_fitted) == (0.45, False, False)
    validation = [sample for sample in read_index(parts).part("val") if not sample.labels]
    assert (found.negatives, found.groups) == (len(validation), len({s.group for s in validation}))
    loaded = relmask.load(run.path)
    assert loaded.metadata.calibration == run.metadata.calibration == found
    assert loaded.segmenter.calibration == found
    assert (run.path / "model.safetensors").read_bytes() == before


def test_the_scores_that_gates_were_chosen_from_are_kept(run: Run, parts: Path) -> None:
    found = calibrate(run, parts, false_alarms=0.45)
    kept = read_scores(run.path, run.metadata.classes)
    assert sorted(kept.names) == sorted(sample.name for sample in read_index(parts).part("val"))
    assert set(kept.sources) == {"validation"}
    assert run.segmenter_with(false_alarms=0.45).calibration == found
    before = (run.path / "scores.csv").read_bytes()
    calibrate(run, parts, masks=parts)  # leaves the gates
    assert (run.path / "scores.csv").read_bytes() == before


def test_a_run_of_an_earlier_version_gets_scores_with_new_thresholds(run: Run, parts: Path) -> None:
    (run.path / "scores.csv").unlink()
    calibrate(run, parts, masks=parts)
    assert not (run.path / "scores.csv").exists()
    found = calibrate(run, parts, false_alarms=0.45)
    assert run.segmenter_with(false_alarms=0.45).calibration == found


def unshifted(
    model: ExplainedClassifier, images: Iterable[torch.Tensor], groups: Sequence[str], clean: torch.Tensor
) -> torch.Tensor:
    """Takes the place of `as_if_unseen`."""
    return torch.zeros(len(groups), 1)


def test_pictures_that_the_run_remembers_are_not_taken_for_cleaner_than_others(
    run: Run, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [replace(sample, split="train") for sample in read_index(parts).part("train")]
    rows = [(sample.name, "|".join(sorted(sample.labels)), sample.group, "train") for sample in lines]
    write_csv(run.path / "split.csv", ("name", "labels", "group", "split"), rows)
    honest = calibrate(run, parts, false_alarms=0.3)
    monkeypatch.setattr(ExplainedClassifier, "as_if_unseen", unshifted)
    naive = calibrate(run, parts, false_alarms=0.3)
    assert honest.negatives == naive.negatives == sum(not sample.labels for sample in lines)
    for name, found in honest.classes.items():
        assert found.clean_median > naive.classes[name].clean_median + 0.5


def calibrated_with(run: Run, samples: Sequence[Sample], folder: Path) -> Calibration:
    """Thresholds from these pictures, all of which the run was trained on."""
    rows = [(s.path, "|".join(sorted(s.labels)) or "ok", s.group) for s in samples]
    write_csv(folder / "index.csv", ("image", "label", "group"), rows)
    known = read_index(folder / "index.csv").samples
    lines = [(s.name, "|".join(sorted(s.labels)), s.group, "train") for s in known]
    write_csv(run.path / "split.csv", ("name", "labels", "group", "split"), lines)
    return calibrate(run, folder / "index.csv", false_alarms=0.45)


def test_training_pictures_none_of_which_is_clean_are_scored_as_they_are(
    run: Run, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    defective = [sample for sample in read_index(parts).part("train") if sample.labels]
    found = calibrated_with(run, defective, tmp_path)
    monkeypatch.setattr(ExplainedClassifier, "as_if_unseen", unshifted)
    assert calibrated_with(run, defective, tmp_path) == found


@pytest.mark.filterwarnings("ignore:Only 1 group of:UserWarning")
def test_clean_training_pictures_of_a_single_group_count_as_usual_ones(
    run: Run, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [replace(sample, group="one") for sample in read_index(parts).part("train")]
    found = calibrated_with(run, alone, tmp_path)
    monkeypatch.setattr(ExplainedClassifier, "as_if_unseen", unshifted)
    naive = calibrated_with(run, alone, tmp_path)
    for name, thresholds in found.classes.items():
        raised = thresholds.clean_median - naive.classes[name].clean_median
        assert 0 < raised <= 3.001, "from known for certain (-3) to the median (0)"


def test_without_a_new_share_the_runs_own_holds_and_too_few_clean_pictures_are_told(
    run: Run, parts: Path
) -> None:
    with pytest.warns(UserWarning, match=r"Only 3 groups of clean images.* 30.0%"):
        assert calibrate(run, parts).false_alarms == 0.3


def test_a_run_in_memory_segments_with_its_new_thresholds(run: Run, parts: Path) -> None:
    before = run.segmenter
    found = calibrate(run, parts, false_alarms=0.45)
    assert run.segmenter.calibration == found
    assert run.segmenter is not before
    assert run.segmenter is run.segmenter


def test_a_few_masks_may_say_how_far_masks_reach(run: Run, parts: Path) -> None:
    plain = calibrate(run, parts, false_alarms=0.45)
    found = calibrate(run, parts, false_alarms=0.45, masks=parts)
    assert found.saw_masks
    assert run.metadata.calibration == found
    for name, thresholds in found.classes.items():
        assert thresholds.gate == plain.classes[name].gate


def test_masks_alone_leave_the_gates_that_the_run_has(run: Run, parts: Path) -> None:
    before = run.metadata.calibration
    assert before is not None
    found = calibrate(run, parts, masks=parts)
    assert found.saw_masks
    assert (found.groups, found.negatives) == (before.groups, before.negatives)
    for name, thresholds in before.classes.items():
        same = thresholds.model_copy(update={"level": found.classes[name].level})
        assert found.classes[name] == same
    assert any(found.classes[name].level != before.classes[name].level for name in before.classes)


def test_true_masks_choose_among_multiples_of_the_level(run: Run, parts: Path) -> None:
    before = run.metadata.calibration
    assert before is not None
    levels = {name: of.model_copy(update={"level": 0.3}) for name, of in before.classes.items()}
    moved = before.model_copy(update={"classes": levels})
    run.metadata = run.metadata.model_copy(update={"calibration": moved})
    found = calibrate(run, parts, masks=parts)
    for of in found.classes.values():
        assert np.isclose(of.level, 0.3 * FACTORS).any()


def test_masks_that_are_not_there_are_not_claimed_to_be_seen(run: Run, parts: Path, tmp_path: Path) -> None:
    rows = [(s.path, "|".join(sorted(s.labels)) or "ok", s.group) for s in read_index(parts).samples]
    write_csv(tmp_path / "index.csv", ("image", "label", "group"), rows)
    before = run.metadata.calibration
    with pytest.raises(DataError, match="has a mask"):
        calibrate(run, tmp_path / "index.csv", masks=tmp_path / "index.csv")
    assert relmask.load(run.path).metadata.calibration == before


def test_masks_that_are_named_and_not_there_are_named(run: Run, parts: Path, tmp_path: Path) -> None:
    samples = read_index(parts).samples
    named = {sample.name: sample.mask for sample in samples}
    lost = next(s.name for s in samples if s.labels and s.split == "val")

    def index(masks: dict[str, Any]) -> Path:
        rows = [
            (s.path, "|".join(sorted(s.labels)) or "ok", s.group, s.split, masks[s.name] or "")
            for s in samples
        ]
        write_csv(tmp_path / "index.csv", ("image", "label", "group", "split", "mask"), rows)
        return tmp_path / "index.csv"

    data = index({**named, lost: "lost.png"})
    with pytest.warns(UserWarning, match=r"not there \(1\):\n.*lost\.png: no such file"):
        assert calibrate(run, data, false_alarms=0.45, masks=data).saw_masks
    data = index({name: mask and "lost.png" for name, mask in named.items()})
    with pytest.raises(DataError, match=r"(?s)has a mask\. Masks that are named and not there.*lost\.png"):
        calibrate(run, data, masks=data)


def test_new_data_are_used_but_for_their_test_split(run: Run, parts: Path, tmp_path: Path) -> None:
    rows = [
        (s.path, "|".join(sorted(s.labels)) or "ok", f"new-{s.group}", s.split)
        for s in read_index(parts).samples
    ]
    (tmp_path / "new").mkdir()
    write_csv(tmp_path / "new" / "index.csv", ("image", "label", "group", "split"), rows)
    found = calibrate(run, tmp_path / "new", false_alarms=0.3)
    clean = [row for row in rows if row[1] == "ok" and row[3] != "test"]
    assert (found.negatives, found.groups) == (len(clean), len({row[2] for row in clean}))


@pytest.mark.parametrize(
    ("clean", "before", "never"), [("ok", False, False), (None, True, True), (None, False, False)]
)
def test_data_without_clean_pictures_do_not_make_a_run_forget_that_there_are_some(
    run: Run, parts: Path, tmp_path: Path, clean: str | None, before: bool, never: bool
) -> None:
    known = run.metadata.calibration
    assert known is not None
    known = known.model_copy(update={"never_clean": before})
    run.metadata = run.metadata.model_copy(update={"clean": clean, "calibration": known})
    defective = [sample for sample in read_index(parts).samples if sample.labels]
    rows = [(s.path, "|".join(sorted(s.labels)), f"new-{s.group}") for s in defective]
    write_csv(tmp_path / "index.csv", ("image", "label", "group"), rows)
    assert calibrate(run, tmp_path / "index.csv", false_alarms=0.45).never_clean == never
    assert calibrate(run, parts, false_alarms=0.45).never_clean is False


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_a_share_out_of_range_is_refused(run: Run, parts: Path, rate: float) -> None:
    with pytest.raises(UsageError, match="at least 0 and below 1"):
        calibrate(run, parts, false_alarms=rate)


def test_classes_that_the_run_does_not_know_are_refused(run: Run, parts: Path, tmp_path: Path) -> None:
    pictures = sorted((parts / "images").iterdir())
    write_csv(tmp_path / "index.csv", ("image", "label"), [(pictures[0], "ok"), (pictures[1], "rust")])
    with pytest.raises(UsageError, match="was not trained on rust"):
        calibrate(run, tmp_path / "index.csv")


@pytest.mark.parametrize("name", ["label-studio", "cvat", "yolo"])
def test_masks_that_a_tool_exported_count_like_those_of_data(
    run: Run, parts: Path, tmp_path: Path, name: str
) -> None:
    own = calibrate(run, parts, false_alarms=0.45, masks=parts)
    path = exported(tmp_path / name, name, read_index(parts))
    assert calibrate(run, parts, false_alarms=0.45, masks=path) == own


@pytest.fixture
def patch_run(parts: Path, tmp_path: Path) -> Run:
    cut_patches(parts, tmp_path / "patches", 32, stride=32)
    choices: dict[str, Any] = {"backbone": "vgg-narrow", "epochs": 1, "false_alarms": 0.3}
    return relmask.train(tmp_path / "patches", tmp_path / "patch-run", effort=LITTLE, **choices)


def test_a_run_on_patches_scores_whole_pictures_by_their_windows(
    patch_run: Run, parts: Path, tmp_path: Path
) -> None:
    index = read_index(parts)
    rows = [(s.path, "|".join(sorted(s.labels)) or "ok", f"new-{s.group}") for s in index.samples[::3]]
    write_csv(tmp_path / "new.csv", ("image", "label", "group"), rows)
    found = calibrate(patch_run, tmp_path / "new.csv", false_alarms=0.0)
    clean = [patch_run.read(path) for path, label, _ in rows if label == "ok"]
    highest = [patch_run.model.logits(patch_run.model.cut(picture)[0]).amax(0) for picture in clean]
    standardised = found.standardised(torch.stack(highest).double().numpy())
    gates = found.standardised(np.array([[of.gate for of in found.classes.values()]]))
    assert gates == pytest.approx(standardised.max())  # no clean picture passes, the highest just so
