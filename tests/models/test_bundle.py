import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from relmask.data.reading import Intensity
from relmask.errors import RunError, UsageError
from relmask.masks.settings import MaskSettings
from relmask.models import bundle
from relmask.models.bundle import FORMAT, METADATA, WEIGHTS, Architecture, Input, Metadata
from relmask.models.guided import GuidedClassifier
from relmask.models.image_novelty import NearestImages

SIZE = 64
ARCHITECTURE = Architecture(
    backbone="vgg-narrow", taps=(2, 3), margin=32, stride=8, hidden=8, novelty_groups=1
)


def metadata(architecture: Architecture | None = ARCHITECTURE) -> Metadata:
    return Metadata(
        relmask="0.1.0",
        architecture=architecture,
        classes=("crack", "pit"),
        clean="ok",
        input=Input(
            size=SIZE,
            windows=False,
            mean=(0.5, 0.5, 0.5),
            std=(0.2, 0.2, 0.2),
            masks=MaskSettings(own=0.5),
            intensity=Intensity(low=12, high=3000),
        ),
        composite="relmask",
        calibration=None,
        split="grouped",
        data="/data",
        fingerprint="f",
        settings={"seed": 3},
        command="relmask train",
    )


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    bundle.save(tmp_path, bundle.build(ARCHITECTURE, 2, SIZE), metadata())
    return tmp_path


@pytest.mark.parametrize("nearest", [None, NearestImages(5, 224), NearestImages(5, 224, clean=3)])
@torch.no_grad()
def test_a_model_comes_back_as_it_was_saved(tmp_path: Path, nearest: NearestImages | None) -> None:
    model, images = bundle.build(ARCHITECTURE, 2, SIZE).eval(), torch.rand(2, 3, SIZE, SIZE)
    assert model.novelty is not None
    model.novelty.typical.normal_()
    model = GuidedClassifier(model.scores, nearest).eval()
    bundle.save(tmp_path, model, metadata())
    assert bundle.read_metadata(tmp_path) == metadata()
    loaded = bundle.load_model(tmp_path, metadata())
    assert not loaded.training
    torch.testing.assert_close(loaded(images), model(images), rtol=0, atol=0)


def test_weights_that_are_shared_within_a_model_can_be_saved(tmp_path: Path) -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Linear(4, 4)
            self.other = nn.Linear(4, 4)
            self.other.weight = self.one.weight

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.other(self.one(x))
            return found

    model, x = Tied(), torch.rand(2, 4)
    bundle.save(tmp_path, model, metadata(None))
    torch.testing.assert_close(bundle.load_model(tmp_path, metadata(None), Tied())(x), model(x))


def test_a_model_of_ones_own_is_asked_for(tmp_path: Path) -> None:
    model = nn.Conv2d(3, 2, 1)
    bundle.save(tmp_path, model, metadata(None))
    with pytest.raises(RunError, match=r"module of your own: pass it as relmask\.load\(run, model=\.\.\.\)"):
        bundle.load_model(tmp_path, metadata(None))
    loaded = bundle.load_model(tmp_path, metadata(None), nn.Conv2d(3, 2, 1))
    assert torch.equal(loaded.state_dict()["weight"], model.weight)


def test_a_model_of_another_shape_does_not_fit(saved: Path) -> None:
    with pytest.raises(RunError, match=r"model\.safetensors cannot be loaded"):
        bundle.load_model(saved, metadata(None), nn.Conv2d(3, 2, 1))


def test_a_folder_without_metadata_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"not a run.*--resume"):
        bundle.read_metadata(tmp_path)
    with pytest.raises(RunError, match=r"not a run: there is no relmask\.json\.$"):
        bundle.read_metadata(tmp_path / "absent")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"format": 4}'])
def test_damaged_metadata_are_a_run_error(saved: Path, content: bytes) -> None:
    (saved / METADATA).write_bytes(content)
    with pytest.raises(RunError, match=r"relmask\.json cannot be read"):
        bundle.read_metadata(saved)


@pytest.mark.parametrize("change", [{"format": FORMAT + 1}, {"format": FORMAT + 1, "novel": True}])
def test_a_run_of_a_newer_relmask_says_so(saved: Path, change: dict[str, object]) -> None:
    content = json.loads((saved / METADATA).read_text(encoding="utf-8"))
    (saved / METADATA).write_text(json.dumps({**content, **change}), encoding="utf-8")
    with pytest.raises(RunError, match=r"has format 5, this relmask reads 4: update relmask\."):
        bundle.read_metadata(saved)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_run_of_an_earlier_relmask_says_how_to_train_it_again(saved: Path, number: int) -> None:
    content = json.loads((saved / METADATA).read_text(encoding="utf-8"))
    earlier = {**content, "format": number, "data": "/parts"}
    (saved / METADATA).write_text(json.dumps(earlier), encoding="utf-8")
    with pytest.raises(
        RunError, match=rf"earlier relmask \(format {number}.*relmask train /parts -o NEW_RUN"
    ):
        bundle.read_metadata(saved)


def test_what_the_metadata_do_not_know_is_refused(saved: Path) -> None:
    content = json.loads((saved / METADATA).read_text(encoding="utf-8"))
    (saved / METADATA).write_text(json.dumps({**content, "treshold": 1}), encoding="utf-8")
    with pytest.raises(RunError, match="treshold"):
        bundle.read_metadata(saved)


@pytest.mark.parametrize("damage", ["absent", "empty", "cut"])
def test_damaged_weights_are_a_run_error(saved: Path, damage: str) -> None:
    path = saved / WEIGHTS
    content = path.read_bytes()
    path.unlink()
    if damage != "absent":
        path.write_bytes(b"" if damage == "empty" else content[: len(content) // 2])
    with pytest.raises(RunError, match=r"model\.safetensors cannot be loaded"):
        bundle.load_model(saved, metadata())


def test_an_unknown_backbone_is_named() -> None:
    with pytest.raises(UsageError, match="No backbone 'vgg12'"):
        bundle.build(ARCHITECTURE.model_copy(update={"backbone": "vgg12"}), 2, SIZE)
