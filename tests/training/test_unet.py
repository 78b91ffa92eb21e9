from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import relmask
from relmask.data.index import read_index
from relmask.data.truth import read_truth
from relmask.errors import DataError, OutError
from relmask.files import write_csv
from relmask.synthetic.surfaces import write_surfaces
from relmask.synthetic.worlds import stained_cells
from relmask.training.effort import Effort
from relmask.training.unet import fit_unet
from tests.effort import LITTLE

SMALL: dict[str, Any] = {
    "backbone": "vgg-narrow",
    "size": 64,
    "epochs": 1,
    "batch_size": 4,
    "precision": "32-true",
    "effort": LITTLE,
}


def test_it_is_a_run_that_says_it_saw_masks(parts: Path, tmp_path: Path) -> None:
    with torch.no_grad():  # gradients are on in training, whatever the caller chose
        run = fit_unet(parts, tmp_path / "run", **SMALL)
    sample = read_index(parts).samples[0]
    loaded = relmask.load(run.path)
    assert loaded.metadata.saw_masks
    assert loaded.metadata.calibration is not None
    assert loaded.metadata.calibration.saw_masks
    assert np.array_equal(loaded.segment(sample.path).mask, run.segment(sample.path).mask)
    assert (run.path / "history.csv").read_text().count("\n") == 2


def test_it_finds_what_the_masks_showed(tmp_path: Path) -> None:
    stained_cells(tmp_path / "data", images=40, size=48)
    run = fit_unet(
        tmp_path / "data", tmp_path / "run", **{**SMALL, "size": 48, "epochs": 2, "effort": Effort(steps=30)}
    )
    index = read_index(tmp_path / "data")
    met = union = 0
    for sample in index.part("test"):
        found, truth = run.segment(sample.path).mask > 0, read_truth(sample, index) > 0
        met, union = met + int((found & truth).sum()), union + int((found | truth).sum())
    assert met / union > 0.6


def test_pictures_larger_than_the_input_are_learned_from_squares(tmp_path: Path) -> None:
    write_surfaces(tmp_path / "data", images=24, size=96)
    run = fit_unet(tmp_path / "data", tmp_path / "run", windows=True, **SMALL)
    assert run.segment(read_index(tmp_path / "data").samples[0].path).mask.shape == (96, 96)


def test_where_everything_is_defective_masks_teach_all_the_same(parts: Path, tmp_path: Path) -> None:
    index = read_index(parts)
    cracked = [sample for sample in index.samples if sample.labels == {"crack"}]
    rows = [(s.path, "crack", s.mask, s.split) for s in cracked]
    write_csv(tmp_path / "index.csv", ("image", "label", "mask", "split"), rows)
    assert fit_unet(tmp_path / "index.csv", tmp_path / "run", **SMALL).metadata.classes == ("crack",)


def test_data_without_masks_are_refused(parts: Path, tmp_path: Path) -> None:
    rows = [(s.path, "|".join(s.labels) or "ok", s.split) for s in read_index(parts).samples]
    write_csv(tmp_path / "index.csv", ("image", "label", "split"), rows)
    with pytest.raises(DataError, match="has a mask to learn from"):
        fit_unet(tmp_path / "index.csv", tmp_path / "run", **SMALL)


def test_a_mask_of_another_size_is_left_out(parts: Path, tmp_path: Path) -> None:
    samples = [sample for sample in read_index(parts).samples if len(sample.labels) < 2]
    wrong = next(s.name for s in samples if s.labels and s.split == "train")
    Image.new("L", (3, 3)).save(tmp_path / "wrong.png")
    rows = [
        (s.path, "|".join(s.labels) or "ok", s.split, tmp_path / "wrong.png" if s.name == wrong else s.mask)
        for s in samples
    ]
    write_csv(tmp_path / "index.csv", ("image", "label", "split", "mask"), rows)
    with pytest.warns(UserWarning, match=r"1 masks cannot be read:\n.*wrong\.png"):
        fit_unet(tmp_path / "index.csv", tmp_path / "run", **SMALL)


def test_another_training_is_not_gone_on_with(parts: Path, tmp_path: Path) -> None:
    fit_unet(parts, tmp_path / "run", **SMALL)
    with pytest.raises(OutError, match="other settings"):
        fit_unet(parts, tmp_path / "run", **{**SMALL, "epochs": 2}, resume=True)
    assert fit_unet(parts, tmp_path / "run", **SMALL, resume=True).metadata.saw_masks
