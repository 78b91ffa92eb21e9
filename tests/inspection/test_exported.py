from pathlib import Path

import pytest
import torch
from torch import nn
from torch.export import Dim
from typer.testing import CliRunner

import relmask
from relmask.cli import app
from relmask.errors import RunError, UnsupportedModel
from tests.inspection.fakes import picture


def saved(path: Path, model: nn.Module, shape: tuple[int, ...], **options: object) -> Path:
    program = torch.export.export(model.eval(), (torch.rand(shape),), **options)  # type: ignore[arg-type]
    torch.export.save(program, path)
    return path


def classifier() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # torch's own, when it loads a program
def test_a_saved_model_is_explained_with_a_table(tmp_path: Path) -> None:
    model = saved(tmp_path / "model.pt2", classifier(), (2, 3, 16, 16), dynamic_shapes=({0: Dim.AUTO},))
    image = picture(tmp_path / "in/a.png")
    arguments = [
        "explain",
        str(model),
        str(image),
        "-o",
        str(tmp_path / "out"),
        "--table",
        "-q",
        "--target",
        "1",
    ]
    ran = CliRunner().invoke(app, [*arguments, "--table", "--quiet"])
    assert ran.exit_code == 0, ran.output
    lines = ran.output.splitlines()
    assert lines[0] == str(image)
    assert lines[1].split() == ["layer", "operator", "rule", "arrived", "passed", "lost"]
    assert [line.split()[0] for line in lines[2:6]] == ["0", "2", "4", "all"]
    assert (tmp_path / "out/heatmaps/a.png").is_file()


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")
@pytest.mark.parametrize(
    ("model", "shape", "options", "reason"),
    [
        (classifier(), (2, 3, 8, 8), {}, "takes 2 images at once"),
        (nn.Flatten(), (2, 3, 8, 9), {"dynamic_shapes": ({0: Dim.AUTO},)}, "square images, not 8 x 9"),
        (nn.Flatten(), (2, 4), {"dynamic_shapes": ({0: Dim.AUTO},)}, "colour images"),
        (nn.ReLU(), (2, 3, 8, 8), {"dynamic_shapes": ({0: Dim.AUTO},)}, "return logits"),
    ],
    ids=["fixed number", "not square", "no images", "no logits"],
)
def test_models_that_cannot_be_explained_say_why(
    tmp_path: Path, model: nn.Module, shape: tuple[int, ...], options: dict[str, object], reason: str
) -> None:
    with pytest.raises(UnsupportedModel, match=reason):
        relmask.open_model(saved(tmp_path / "model.pt2", model, shape, **options), device="cpu")


def test_what_is_no_saved_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.pt2").write_bytes(b"nothing")
    with pytest.raises(RunError, match="no model that"):
        relmask.open_model(tmp_path / "model.pt2")
    with pytest.raises(RunError):
        relmask.open_model(tmp_path)
