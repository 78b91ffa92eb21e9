import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import relmask
from relmask.arrays import Mask
from relmask.data.index import read_index
from relmask.data.reading import Intensity, read_image
from relmask.data.splits import read_split
from relmask.errors import ImageError, RunError, UsageError
from relmask.inference.run import Run
from relmask.inference.segmenter import Segmentation
from relmask.models.kept_scores import read_scores


@pytest.fixture(scope="module")
def judged(trained: Run, parts: Path) -> dict[str, tuple[frozenset[str], Segmentation]]:
    return {
        sample.name: (sample.labels, trained.segment(sample.path)) for sample in read_index(parts).samples
    }


def test_a_trained_run_masks_defects_and_leaves_clean_pictures_empty(
    judged: dict[str, tuple[frozenset[str], Segmentation]],
) -> None:
    defective = [found.status == "defect" for labels, found in judged.values() if labels]
    clean = [found.status == "defect" for labels, found in judged.values() if not labels]
    assert np.mean(defective) > np.mean(clean) + 0.15
    for _, found in judged.values():
        assert found.mask.shape == (64, 64)
        assert set(found.scores) == {"crack", "patch", "pit"}
        assert all(0 <= score <= 1 for score in (found.score, *found.scores.values()))
        assert (found.status == "defect") == found.mask.any()
        assert sum(part.area for part in found.components) == np.count_nonzero(found.mask)
        if found.relevance is None:
            assert not found.mask.any()
        else:
            assert np.isfinite(found.relevance).all()


def test_a_run_that_was_moved_gives_the_same_masks(
    trained: Run,
    parts: Path,
    tmp_path: Path,
    judged: dict[str, tuple[frozenset[str], Segmentation]],
) -> None:
    shutil.copytree(trained.path, tmp_path / "elsewhere")
    moved = relmask.load(tmp_path / "elsewhere")
    assert moved.metadata == trained.metadata
    for name in [name for name, (_, found) in judged.items() if found.status == "defect"][:3]:
        found, before = moved.segment(parts / name), judged[name][1]
        assert np.array_equal(found.mask, before.mask)
        assert found.scores == before.scores
        array = read_image(parts / name, moved.metadata.input.intensity)
        assert np.array_equal(moved.segment(array).mask, before.mask)


def test_a_run_without_thresholds_says_how_to_get_them(trained: Run) -> None:
    bare = Run(trained.path, trained.metadata.model_copy(update={"calibration": None}), trained.model)
    with pytest.raises(RunError, match=r"has no thresholds.*relmask calibrate"):
        _ = bare.segmenter


def test_a_run_reads_pictures_on_its_own_scale(trained: Run, tmp_path: Path) -> None:
    spec = trained.metadata.input.model_copy(update={"intensity": Intensity(low=100, high=300)})
    run = Run(trained.path, trained.metadata.model_copy(update={"input": spec}), trained.model)
    Image.fromarray(np.full((4, 4), 200, np.uint16)).save(tmp_path / "deep.png")
    assert run.read(tmp_path / "deep.png").mean() == pytest.approx(0.5)
    with pytest.raises(ImageError):
        run.read(tmp_path / "absent.png")


def test_what_is_no_run_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run"):
        relmask.load(tmp_path)


def test_the_gates_of_a_training_are_those_of_the_scores_that_it_keeps(trained: Run) -> None:
    kept = read_scores(trained.path, trained.metadata.classes)
    assert set(kept.sources) == {"validation", "cross-fitted"}
    lines = read_split(trained.path / "split.csv")
    places = {"val": "validation", "train": "cross-fitted"}
    expected = {name: places[line.split] for name, line in lines.items() if line.split != "test"}
    assert dict(zip(kept.names, kept.sources, strict=True)) == expected
    for name, targets, group in zip(kept.names, kept.scores.targets, kept.scores.groups, strict=True):
        labels = {of for of, is_in in zip(trained.metadata.classes, targets, strict=True) if is_in}
        assert labels == lines[name].labels
        assert group == lines[name].group
    same = trained.segmenter_with(false_alarms=0.3).calibration
    assert same == trained.metadata.calibration


def test_one_job_may_have_other_gates_and_the_run_keeps_its_own(trained: Run, parts: Path) -> None:
    before = {path.name: path.read_bytes() for path in trained.path.iterdir() if path.is_file()}
    samples = read_index(parts).samples
    passing: list[Mask] = []
    for rate in (0.1, 0.3, 0.6):
        segmenter = trained.segmenter_with(false_alarms=rate)
        assert segmenter.calibration.false_alarms == rate
        logits = np.array([[*trained.segment(sample.path).logits.values()] for sample in samples])
        passing.append(np.any(segmenter.calibration.candidates(logits), axis=1))
    assert passing[0].sum() < passing[1].sum() < passing[2].sum()
    clean = next(n for n, sample in enumerate(samples) if passing[2][n] and not passing[1][n])
    assert trained.segment(samples[clean].path).relevance is None
    assert trained.segment(samples[clean].path, false_alarms=0.6).relevance is not None
    after = {path.name: path.read_bytes() for path in trained.path.iterdir() if path.is_file()}
    assert after == before


def test_a_rate_that_the_groups_do_not_support_is_told(trained: Run) -> None:
    with pytest.warns(UserWarning, match=r"Only \d+ groups of clean images.* 0.1% \(1000 needed\)"):
        trained.segmenter_with(false_alarms=0.001)


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_a_share_out_of_range_is_refused(trained: Run, rate: float) -> None:
    with pytest.raises(UsageError, match="at least 0 and below 1"):
        trained.segmenter_with(false_alarms=rate)


def test_a_run_that_keeps_no_scores_segments_and_says_what_other_gates_need(
    trained: Run, parts: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained.path, tmp_path / "old", ignore=shutil.ignore_patterns("scores.csv"))
    old, [picture, *_] = relmask.load(tmp_path / "old"), read_index(parts).samples
    assert np.array_equal(old.segment(picture.path).mask, trained.segment(picture.path).mask)
    with pytest.raises(RunError, match=r"keeps no scores.*relmask calibrate"):
        old.segment(picture.path, false_alarms=0.1)


def test_a_clean_picture_is_explained_if_asked(
    trained: Run, parts: Path, judged: dict[str, tuple[frozenset[str], Segmentation]]
) -> None:
    name = next(name for name, (_, found) in judged.items() if found.relevance is None)
    found = trained.segment(parts / name, explain_clean=True)
    assert (found.status, set(found.maps)) == ("clean", {found.explained})
    assert not found.mask.any()
    assert found.relevance is not None
    assert found.novelty_map is not None
    assert found.novelty_map.shape == found.relevance.shape == (64, 64)
    plain = judged[name][1]
    assert (found.scores, found.score, found.logits) == (plain.scores, plain.score, plain.logits)
