import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import relmask
from relmask.data.index import read_index
from relmask.data.surfaces import save_image
from relmask.models.guided import GuidedClassifier
from relmask.models.memory import Memory
from relmask.segmenter import Run


def test_a_run_knows_its_training_pictures_again(trained: Run, parts: Path) -> None:
    loaded = relmask.load(trained.path)
    for sample in read_index(parts).part("train")[:4]:
        found = loaded.segment(sample.path)
        assert found.novelty == pytest.approx(0, abs=0.05)
        assert found.unsure == ""


def test_few_clean_pictures_and_what_was_never_seen_are_unsure(
    trained: Run, parts: Path, tmp_path: Path
) -> None:
    clean = [sample for sample in read_index(parts).part("test") if not sample.labels]
    unsure = [bool(trained.segment(sample.path).unsure) for sample in clean]
    assert sum(unsure) <= 0.2 * len(clean)
    y, x = np.mgrid[:64, :64]
    board = np.repeat(((x // 8 + y // 8) % 2)[..., None], 3, -1).astype(np.float32)
    found = trained.segment(board)
    assert found.novelty is not None
    assert found.novelty > 1
    assert found.unsure == f"unlike all training pictures (novelty {found.novelty:.2f}, limit 1)"
    save_image(tmp_path / "in" / "board.png", board)
    with Image.open(tmp_path / "in" / "board.png") as picture:
        assert picture.size == (64, 64)
    relmask.segment_files(trained, [str(tmp_path / "in")], tmp_path / "out")
    with (tmp_path / "out" / "results.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["novelty"]) > 1
    assert row["unsure"].startswith("unlike all training pictures")
    assert row["status"] == found.label


def test_a_run_without_a_memory_is_not_unsure(trained: Run, parts: Path) -> None:
    run = relmask.load(trained.path)
    assert isinstance(run.reader.model, GuidedClassifier)
    assert isinstance(run.reader.model.memory, Memory)
    picture = read_index(parts).samples[0].path
    known = run.segment(picture)
    run.reader.model.memory = None
    unknown = run.segment(picture)
    assert (unknown.novelty, unknown.unsure) == (None, "")
    assert unknown.scores == known.scores
    assert (unknown.mask == known.mask).all()
