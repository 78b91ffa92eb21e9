import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from relmask.data.reading import Intensity
from relmask.errors import OutError, UsageError
from relmask.inference.explained import ExplainedClassifier
from relmask.inference.run import Run
from relmask.inference.segmentation import SegmentationModel
from relmask.jobs import explain_files
from relmask.models import bundle
from relmask.models.bundle import Input, Metadata, UNetArchitecture
from tests.jobs.fakes import picture


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A class for what is bright on the left half, another for the right half."""
    with torch.no_grad():
        read = nn.Linear(3 * 4, 2, bias=False)
        model = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), read)
        read.weight.copy_(torch.tensor([[1.0, 0, 1, 0], [0, 1, 0, 1]]).repeat(1, 3) / 6)
    spec = Input(size=8, windows=False, mean=(0, 0, 0), std=(1, 1, 1), intensity=Intensity())
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
    folder = tmp_path_factory.mktemp("run")
    bundle.save(folder, model, metadata)
    return Run(folder, metadata, reader)


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


def test_other_settings_are_refused_until_overwritten(run: Run, tmp_path: Path) -> None:
    lit(tmp_path / "in/a.png", "left")
    explain_files(run, [tmp_path / "in"], tmp_path / "out")
    with pytest.raises(OutError, match=r"(?s)heatmaps of other.*target: None, now right.*--overwrite"):
        explain_files(run, [tmp_path / "in"], tmp_path / "out", target="right")
    (tmp_path / "in/a.png").rename(tmp_path / "in/b.png")
    explain_files(run, [tmp_path / "in"], tmp_path / "out", target="right", overwrite=True)
    assert [path.name for path in (tmp_path / "out/heatmaps").iterdir()] == ["b.png"]


def test_the_same_settings_leave_no_heatmap_of_a_picture_that_is_gone(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lit(tmp_path / "in/a.png", "left")
    explain_files(run, [tmp_path / "in"], tmp_path / "out")
    (tmp_path / "in/a.png").rename(tmp_path / "in/b.png")
    monkeypatch.chdir(tmp_path)
    explain_files(run, ["in"], "out")
    assert [path.name for path in (tmp_path / "out/heatmaps").iterdir()] == ["b.png"]


def test_heatmaps_of_others_are_left_alone(run: Run, tmp_path: Path) -> None:
    lit(tmp_path / "in/a.png", "left")
    theirs = lit(tmp_path / "out/heatmaps/theirs.png", "right").read_bytes()
    for overwrite in (False, True):
        with pytest.raises(OutError, match=r"heatmaps/theirs\.png, which this command did not write"):
            explain_files(run, [tmp_path / "in"], tmp_path / "out", overwrite=overwrite)
    assert (tmp_path / "out/heatmaps/theirs.png").read_bytes() == theirs


def test_a_name_that_is_too_long_fails_alone(run: Run, tmp_path: Path) -> None:
    for suffix in ("jpg", "png"):  # so their heatmaps are called x...x.jpg.png and x...x.png.png
        lit(tmp_path / f"in/{'x' * 250}.{suffix}", "left")
    lit(tmp_path / "in/a.png", "left")
    explained = explain_files(run, [tmp_path / "in"], tmp_path / "out")
    assert [reason for _, reason in explained.failed] == [row["error"] for row in table(tmp_path / "out")][1:]
    assert "the name is too long" in explained.failed[0][1]


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


class LitMaps(nn.Module):
    """Logits of "left", nowhere, and of "right", wherever it is bright: 9 where it is, -9 elsewhere."""

    def forward(self, images: Tensor) -> Tensor:
        bright = images[:, :1] * 18 - 9
        return torch.cat([torch.full_like(bright, -9), bright], dim=1)


@pytest.fixture
def student(run: Run, tmp_path: Path) -> Run:
    architecture = UNetArchitecture(backbone="vgg-narrow")
    metadata = run.metadata.model_copy(update={"architecture": architecture, "composite": ""})
    bundle.save(tmp_path / "student", nn.Identity(), metadata)
    model = SegmentationModel(LitMaps(), metadata.input, torch.device("cpu"))
    return Run(tmp_path / "student", metadata, model)


def test_a_heatmap_of_a_student_shows_probabilities(student: Run, tmp_path: Path) -> None:
    lit(tmp_path / "in/a.png", "right")
    explain_files(student, [tmp_path / "in"], tmp_path / "out")
    (row,) = table(tmp_path / "out")
    assert row["class"] == "right"
    assert float(row["peak"]) == pytest.approx(1, abs=1e-3)
    with Image.open(tmp_path / "out" / row["heatmap"]) as opened:
        heatmap = np.asarray(opened.convert("RGB")).astype(int)
    drawn = heatmap[:, -8:]
    red = drawn[..., 0] - drawn[..., 2]
    assert red[:, 4:].min() > 60  # a probability of 1 is full colour,
    assert abs(red[:, :4]).max() < 10  # and one of 0.0001 is none


def test_a_student_has_no_rules(student: Run, tmp_path: Path) -> None:
    lit(tmp_path / "in/a.png", "right")
    with pytest.raises(UsageError, match=r"student.*no composite"):
        explain_files(student, [tmp_path / "in"], tmp_path / "out", composite="epsilon_plus")
    with pytest.raises(UsageError, match=r"student.*no table"):
        explain_files(student, [tmp_path / "in"], tmp_path / "out", tables=True)
