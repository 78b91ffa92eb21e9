import csv
import json
import shutil
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

import relmask
from relmask.data.index import read_index
from relmask.data.patches import cut_patches
from relmask.errors import DataError, RunError, UnsupportedModel, UsageError
from relmask.files import write_csv
from relmask.inference.run import Run
from relmask.models.bundle import FORMAT, Architecture
from relmask.models.dinov2 import DinoV2
from relmask.synthetic.surfaces import CLASSES
from tests.training import conftest
from tests.training.conftest import Trainer, weights_of


def module(classes: int = 3) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 8, 5, stride=4),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, classes, 3),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
        )


def test_a_run_holds_what_its_contract_names(trained: Run) -> None:
    assert {path.name for path in trained.path.iterdir()} >= {
        *(
            "model.safetensors",
            "relmask.json",
            "split.csv",
            "history.csv",
            "scores.csv",
            "report.html",
            "checkpoints",
        )
    }
    metadata = json.loads((trained.path / "relmask.json").read_text(encoding="utf-8"))
    assert metadata["classes"] == list(CLASSES)
    assert (metadata["clean"], metadata["format"], metadata["relmask"]) == ("ok", FORMAT, relmask.__version__)
    assert metadata["calibration"]["saw_masks"] is False
    assert list(metadata["calibration"]["classes"]) == list(CLASSES)
    assert (metadata["input"]["size"], metadata["input"]["windows"]) == (64, False)
    with (trained.path / "history.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [line["epoch"] for line in lines] == ["0", "1"]
    report = (trained.path / "report.html").read_text(encoding="utf-8")
    assert all(f'<th scope="row">{name}</th>' in report for name in CLASSES)


def test_with_every_mask_file_corrupted_training_and_masks_are_the_same_bytes(
    small: Trainer, parts: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(parts, broken)
    for mask in (broken / "masks").iterdir():
        mask.write_bytes(b"no picture")
    one, other = small("one"), small("other", broken)
    assert weights_of(one) == weights_of(other)
    assert one.metadata.calibration == other.metadata.calibration
    for run, data in ((one, parts), (other, broken)):
        relmask.segment_files(run, [data / "images"], run.path / "out")
    masks = {path.relative_to(one.path): path.read_bytes() for path in one.path.glob("out/masks/**/*.png")}
    assert len(masks) == 64
    assert masks == {
        path.relative_to(other.path): path.read_bytes() for path in other.path.glob("out/masks/**/*.png")
    }


def test_a_seed_repeats_a_run_and_another_gives_another(small: Trainer) -> None:
    one, again, other = small("one", seed=1), small("again", seed=1), small("other", seed=2)
    assert weights_of(one) == weights_of(again) != weights_of(other)
    assert one.metadata.calibration == again.metadata.calibration


def test_training_leaves_the_random_numbers_of_its_caller_alone(small: Trainer) -> None:
    torch.manual_seed(3)
    small()
    after = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(1), after)


@pytest.mark.parametrize("own", [False, True], ids=["relmask's", "own"])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_gradients_are_on_in_training_whatever_the_caller_chose(
    small: Trainer, mode: Callable[[], AbstractContextManager[None]], own: bool
) -> None:
    one, other = (module(), module()) if own else (None, None)
    with mode():
        inside = small("inside", model=one)
        assert not torch.is_grad_enabled()
    assert weights_of(inside) == weights_of(small("outside", model=other))


def test_a_module_of_ones_own_is_trained_in_place_and_comes_back(
    small: Trainer, parts: Path, tmp_path: Path
) -> None:
    own, before = module(), module().state_dict()
    run = small(model=own)
    assert any(not torch.equal(value, before[name]) for name, value in own.state_dict().items())
    assert run.metadata.architecture is None
    picture = parts / "images" / "0000a.jpg"
    found = relmask.load(tmp_path / "run", model=module()).segment(picture)
    assert found.scores == run.segment(picture).scores
    assert set(found.scores) == set(CLASSES)
    with pytest.raises(RunError, match="a module of your own"):
        relmask.load(tmp_path / "run")


def test_modules_that_cannot_be_explained_are_refused_before_anything_is_written(
    small: Trainer, tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedModel, match=r"(?i)softmax"):
        small(model=nn.Sequential(module(), nn.Softmax(1)))
    with pytest.raises(UsageError, match=r"gives 4 logits, but the data have 3 defect classes"):
        small(model=module(classes=4))
    with pytest.raises(UsageError, match="nothing to train"):
        small(model=module().requires_grad_(False))
    with torch.inference_mode():
        inside = module()
    with pytest.raises(UsageError, match=r"made under torch.inference_mode and cannot be trained"):
        small(model=inside)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"backbone": "vgg12"}, UsageError, "No backbone 'vgg12'"),
        ({"backbone": "vgg-narrow", "weights": None, "finetune": True}, UsageError, "has none"),
        ({"composite": "epsilon_minus"}, UsageError, "No composite named 'epsilon_minus'"),
        ({"weights": Path("absent.pt")}, RunError, r"absent\.pt"),
        ({"device": "abacus"}, UsageError, "No device 'abacus'"),
        ({"precision": "3-bit"}, UsageError, "precision '3-bit'"),
        ({"epochs": 0}, UsageError, "epochs: Input should be greater than 0"),
        ({"clean": "spotless"}, DataError, "No picture in .* is labelled spotless"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    small: Trainer, tmp_path: Path, wrong: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        small(**wrong)
    assert not (tmp_path / "run").exists()


def test_broken_pictures_are_left_out_with_a_warning(small: Trainer, parts: Path, tmp_path: Path) -> None:
    holey = tmp_path / "holey"
    shutil.copytree(parts, holey)
    chosen = [sample.path for sample in read_index(holey).part("train")][:2]
    chosen[0].write_bytes(b"")
    chosen[1].write_bytes(chosen[1].read_bytes()[:300])
    with pytest.warns(UserWarning, match="2 pictures cannot be read and are left out"):
        run = small(data=holey)
    assert (run.path / "relmask.json").exists()


def test_finetuning_and_training_from_scratch_change_the_backbone(
    small: Trainer, narrow_weights: Path
) -> None:
    first = "scores.features.trunk.backbone.features.0.weight"
    before = torch.load(narrow_weights, weights_only=True)["features.0.weight"]
    frozen, tuned, scratch = small("frozen"), small("tuned", finetune=True), small("scratch", weights=None)
    assert torch.equal(frozen.model.network.state_dict()[first], before)
    for run in (tuned, scratch):
        assert not torch.equal(run.model.network.state_dict()[first], before)
        assert isinstance(run.metadata.architecture, Architecture)
        assert run.metadata.architecture.novelty_groups == 0
    distance = {
        run.path.name: float((run.model.network.state_dict()[first] - before).norm())
        for run in (tuned, scratch)
    }
    assert distance["tuned"] < distance["scratch"]


def test_two_backbones_side_by_side_are_saved_with_the_run(small: Trainer, parts: Path) -> None:
    run = small(backbone="efficientnet-lite0+vgg-narrow")
    picture = parts / "images" / "0000a.jpg"
    expected = run.segment(picture)
    again = relmask.load(run.path)
    assert str(again.metadata.architecture) == "efficientnet-lite0 + vgg-narrow"
    found = again.segment(picture)
    assert found.scores == expected.scores
    assert np.array_equal(found.mask, expected.mask)
    assert "efficientnet-lite0 + vgg-narrow" in (run.path / "report.html").read_text(encoding="utf-8")


def test_a_transformer_beside_a_convolutional_network_is_trained_and_explained(
    small: Trainer, parts: Path, tmp_path: Path
) -> None:
    save_file(DinoV2().state_dict(), tmp_path / "dinov2.safetensors")
    run = small(backbone="efficientnet-lite0+dinov2-small", weights=tmp_path / "dinov2.safetensors", size=56)
    again = relmask.load(run.path)
    with torch.no_grad():  # it has hardly learned: let it see something everywhere
        again.classifier.network.get_parameter("scores.head.4.bias").add_(5)
    images, _ = again.model.cut(again.read(parts / "images" / "0000a.jpg"))
    relevance = again.classifier.relevance(images, torch.tensor([0]))
    assert relevance.shape == (1, 56, 56)
    assert relevance.isfinite().all()
    assert (relevance != 0).any()


def test_absent_weights_are_told_before_anything_is_written(
    small: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELMASK_CACHE", str(tmp_path / "cache"))
    with pytest.raises(RunError, match="`relmask weights dinov2-small`"):
        small(backbone="dinov2-small", weights=None, size=56)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("pretrained", [True, False])
def test_mixed_precision_trains_what_full_precision_can_use(
    small: Trainer, narrow_weights: Path, parts: Path, pretrained: bool
) -> None:
    weights = narrow_weights if pretrained else None
    run = small(precision="bf16-mixed", weights=weights)
    assert {value.dtype for value in run.model.network.parameters()} == {torch.float32}
    picture = parts / "images" / "0000a.jpg"
    assert relmask.load(run.path).segment(picture).scores == run.segment(picture).scores
    if pretrained:  # the statistics of the features and the novelty do not depend on it
        full = small("full", weights=weights).model.network.state_dict()
        mixed = run.model.network.state_dict()
        assert all(
            torch.equal(full[name], mixed[name]) for name in full if name.startswith("scores.novelty.")
        )


def test_without_a_clean_class_every_class_is_judged_by_the_others(
    small: Trainer, parts: Path, tmp_path: Path
) -> None:
    index = read_index(parts)
    defective = [sample for sample in index.samples if sample.labels]
    rows = [
        (sample.path, "|".join(sorted(sample.labels)), sample.group, sample.split) for sample in defective
    ]
    write_csv(tmp_path / "index.csv", ("image", "label", "group", "split"), rows)
    run = small(data=tmp_path / "index.csv")
    assert (run.metadata.clean, run.metadata.classes) == (None, CLASSES)
    assert isinstance(run.metadata.architecture, Architecture)
    assert run.metadata.architecture.novelty_groups == len(CLASSES)
    result = run.segment(defective[0].path)
    assert result.mask.shape == (64, 64)


def test_the_scale_of_deep_pictures_is_measured_once_and_kept(
    small: Trainer, parts: Path, tmp_path: Path
) -> None:
    rows = []
    for sample in read_index(parts).samples:
        with Image.open(sample.path) as picture:
            deep = np.asarray(picture.convert("L")).astype(np.uint16) * 11 + 1000
        path = tmp_path / "deep" / f"{sample.path.stem}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(deep).save(path)
        rows.append((path, "|".join(sorted(sample.labels)) or "ok", sample.group, sample.split))
    write_csv(tmp_path / "index.csv", ("image", "label", "group", "split"), rows)
    run = small(data=tmp_path / "index.csv")
    intensity = run.metadata.input.intensity
    assert 900 <= intensity.low < intensity.high <= 4100
    loaded = relmask.load(run.path)
    assert loaded.segmenter.intensity == intensity
    dark = tmp_path / "dark.png"
    Image.fromarray(np.full((64, 64), 1100, np.uint16)).save(dark)
    assert loaded.read(dark).max() < 0.2  # not stretched to its own range


def test_a_run_on_patches_segments_larger_pictures_by_windows(
    small: Trainer, parts: Path, tmp_path: Path
) -> None:
    cut_patches(parts, tmp_path / "patches", size=32, stride=32)
    run = small(data=tmp_path / "patches", size=None, weights=None)
    assert (run.metadata.input.size, run.metadata.input.windows) == (32, True)
    result = run.segment(parts / "images" / "0000a.jpg")
    assert result.mask.shape == (64, 64)


@pytest.mark.parametrize(
    ("choices", "kind"),
    [({}, "given"), ({"resplit": "grouped"}, "grouped"), ({"resplit": "random"}, "random")],
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # of groups in two splits, which other tests expect
def test_the_run_says_how_its_split_was_made(small: Trainer, choices: dict[str, str], kind: str) -> None:
    assert small(**choices).metadata.split == kind


@pytest.mark.parametrize("counts", [{"ok": 1, "crack": 1}, {"ok": 1, "crack": 4}, {"pit": 2, "crack": 1}])
@pytest.mark.parametrize("pretrained", [True, False])
def test_the_smallest_data_train_with_warnings(
    small: Trainer,
    parts: Path,
    tmp_path: Path,
    narrow_weights: Path,
    counts: dict[str, int],
    pretrained: bool,
) -> None:
    pictures = iter(sorted((parts / "images").iterdir()))
    for label, count in counts.items():
        (tmp_path / "few" / label).mkdir(parents=True)
        for _ in range(count):
            shutil.copy(next(pictures), tmp_path / "few" / label)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        run = small(data=tmp_path / "few", weights=narrow_weights if pretrained else None)
    said = " ".join(str(warning.message) for warning in warned)
    assert sum(warning.filename == conftest.__file__ for warning in warned) >= 2, (
        "it points to who called train"
    )
    assert "No groups are known" in said
    assert "its thresholds come from training pictures" in said
    assert "too few to guarantee a false-alarm rate of 40.0% (3 needed)" in said
    assert "too few to guarantee a false-alarm rate of 40.0%" in (run.path / "report.html").read_text(
        encoding="utf-8"
    )
    assert run.segment(next(pictures)).mask.shape == (64, 64)
