import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import relmask
from relmask.data.index import read_index
from relmask.data.reading import Intensity, read_image
from relmask.errors import ImageError, RunError
from relmask.inference.run import Run
from relmask.inference.segmenter import Segmentation


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
