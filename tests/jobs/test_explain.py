import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from relmask.data.reading import Intensity
from relmask.errors import UsageError
from relmask.inference.explained import ExplainedClassifier
from relmask.inference.run import Run
from relmask.jobs import explain_files
from relmask.models.bundle import Input, Metadata
from tests.jobs.fakes import picture


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A class for what is bright on the left half, another for the right half."""
    with torch.no_grad():
        read = nn.Linear(3 * 4, 2, bias=False)
        model = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), read)
        read.weight.copy_(torch.tensor([[1.0, 0, 1, 0], [0, 1, 0, 1]]).repeat(1, 3) / 6)
    spec = Input(size=8, windows=False, mean=(0, 0, 0), std=(1, 1, 1), sigma=0, intensity=Intensity())
    metadata = Metadata(
        relmask="0",
        architecture=None,
        classes=("left", "right"),
        clean="ok",
        input=spec,
        composite="epsilon_plus",
        calibration=None,
        split="grouped",
        data="",
        fingerprint="",
        settings={},
        command="",
    )
    reader = ExplainedClassifier(model, spec, "epsilon_plus", torch.device("cpu"))
    return Run(tmp_path_factory.mktemp("run"), metadata, reader)


def lit(path: Path, side: str) -> Path:
    pixels = np.zeros((8, 8), np.uint8)
    pixels[:, :4] = 255 * (side == "left")
    pixels[:, 4:] = 255 * (side == "right")
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def table(out: Path) -> list[dict[str, str]]:
    with (out / "explanations.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def reddest(heatmap: Path) -> int:
    with Image.open(heatmap) as opened:
        pixels = np.asarray(opened.convert("RGB")).astype(int)[:, -8:]  # the right half of the panel
    return int((pixels[..., 0] - pixels[..., 2]).sum(0).argmax())


def test_a_heatmap_shows_where_the_strongest_class_has_its_evidence(run: Run, tmp_path: Path) -> None:
    lit(tmp_path / "in/a.png", "left")
    lit(tmp_path / "in/b.png", "right")
    explain_files(run, [tmp_path / "in"], tmp_path / "out")
    assert [row["class"] for row in table(tmp_path / "out")] == ["left", "right"]
    assert reddest(tmp_path / "out/heatmaps/a.png") < 4 <= reddest(tmp_path / "out/heatmaps/b.png")


def test_a_named_class_is_explained_everywhere(run: Run, tmp_path: Path) -> None:
    lit(tmp_path / "in/a.png", "left")
    explain_files(run, [tmp_path / "in"], tmp_path / "out", target="right")
    (row,) = table(tmp_path / "out")
    assert (row["class"], float(row["logit"])) == ("right", 0)


def test_an_unknown_class_names_the_known_ones(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="left, right"):
        explain_files(run, [tmp_path], tmp_path / "out", target="up")


def test_a_broken_picture_is_listed(run: Run, tmp_path: Path) -> None:
    picture(tmp_path / "in/a.png")
    (tmp_path / "in/b.png").touch()
    explained = explain_files(run, [tmp_path / "in"], tmp_path / "out")
    assert [Path(file).name for file, _ in explained.failed] == ["b.png"]
    assert [bool(row["error"]) for row in table(tmp_path / "out")] == [False, True]
    assert str(explained).startswith("1 heatmaps, 1 failed")


def test_asked_for_tables_say_of_every_picture_what_each_layer_kept(run: Run, tmp_path: Path) -> None:
    files = [lit(tmp_path / "in/a.png", "left"), lit(tmp_path / "in/b.png", "right")]
    explained = explain_files(run, files, tmp_path / "out", tables=True)
    assert [file for file, _ in explained.tables] == list(map(str, files))
    lines = explained.tables[0][1].splitlines()
    assert lines[0].split() == ["layer", "operator", "rule", "arrived", "passed", "lost"]
    assert [line.split()[0] for line in lines[1:]] == ["0", "2", "all"]
    assert not explain_files(run, files, tmp_path / "plain").tables
