import itertools
import json
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from relmask.data.index import Index, Sample
from relmask.data.reading import Intensity
from relmask.errors import UsageError
from relmask.models import bundle
from relmask.models.zoo import ZOO
from relmask.training.plan import Plan, Settings, plan

INTENSITY = Intensity(low=3, high=900)


def index(clean: str | None = "ok") -> Index:
    samples = tuple(
        Sample(Path(name), name, frozenset(labels), name)
        for name, labels in (("a", ["pit"]), ("b", ["crack"]), ("c", [] if clean else ["pit"]))
    )
    return Index(Path("/data"), samples, ("crack", "pit"), clean)


def planned(
    settings: Settings | None = None,
    *,
    data: Path = Path("/data"),
    clean: str | None = "ok",
    own: bool = False,
) -> Plan:
    return plan(settings or Settings(), data, index(clean), INTENSITY, own=own)


def test_the_default_is_a_frozen_backbone_guided_by_novelty() -> None:
    found = planned()
    assert found.frozen
    assert found.architecture is not None
    assert found.architecture.backbone == "efficientnet-lite0"
    assert found.architecture.novelty_groups == 1
    assert (found.input.size, found.input.windows, found.input.intensity) == (256, False, INTENSITY)
    assert found.input.mean == pytest.approx((127 / 255,) * 3)
    assert found.composite == "relmask"


def test_without_clean_images_every_class_has_a_novelty_of_its_own() -> None:
    found = planned(clean=None).architecture
    assert found is not None
    assert found.novelty_groups == 2


def test_finetuning_opens_the_backbone() -> None:
    found = planned(Settings(finetune=True))
    assert not found.frozen
    assert found.architecture is not None
    assert found.architecture.novelty_groups == 0
    assert found.schedule.rate < planned().schedule.rate


def test_a_backbone_without_weights_is_trained_from_scratch_and_for_longer() -> None:
    found = planned(Settings(backbone="vgg-narrow"))
    assert not found.frozen
    assert found.schedule.epochs > planned().schedule.epochs
    assert found.architecture is not None
    assert found.architecture.plain
    assert found.composite == "relmask_fine"
    with pytest.raises(UsageError, match=r"vgg-narrow has none.*--weights FILE"):
        planned(Settings(backbone="vgg-narrow", finetune=True))


def test_a_file_of_weights_makes_any_backbone_a_pretrained_one() -> None:
    assert planned(Settings(backbone="vgg-narrow", weights=Path("w.pt"))).frozen
    assert not planned(Settings(backbone="vgg-narrow", weights=Path("w.pt"), finetune=True)).frozen


def test_dinov2_sees_448_px_without_a_mirror() -> None:
    found = planned(Settings(backbone="dinov2-small"))
    assert found.frozen
    assert found.architecture is not None
    assert (found.input.size, found.architecture.margin, found.architecture.stride) == (448, 0, 14)
    assert found.input.mean == (0.485, 0.456, 0.406)


def test_two_backbones_see_the_same_picture_each_at_its_own_size() -> None:
    found = planned(Settings(backbone="efficientnet-lite0 + dinov2-small", size=224))
    architecture = found.architecture
    assert architecture is not None
    assert str(architecture) == "efficientnet-lite0 at 128 px + dinov2-small"
    assert (found.input.size, architecture.stride, architecture.margin) == (224, 8, 32)
    assert found.input.mean == pytest.approx((127 / 255,) * 3)
    (second,) = architecture.beside
    assert (second.backbone, second.size, second.margin) == ("dinov2-small", None, 0)


@pytest.mark.parametrize("backbone", ["dinov2-small", "efficientnet-lite0+dinov2-small"])
def test_a_size_without_whole_patches_is_refused_with_the_next_ones(backbone: str) -> None:
    with pytest.raises(UsageError, match=r"patches of 14 px, .* --size 252 or 266"):
        planned(Settings(backbone=backbone, size=256))


def test_backbones_side_by_side_need_weights() -> None:
    with pytest.raises(UsageError, match=r"vgg11 comes without any\. Name it last"):
        planned(Settings(backbone="vgg11+dinov2-small", weights=Path("w.pt")))
    joined = planned(Settings(backbone="efficientnet-lite0+vgg11", weights=Path("w.pt")))
    assert joined.frozen


def test_a_module_of_ones_own_needs_no_backbone() -> None:
    found = planned(Settings(backbone="no such one"), own=True)
    assert (found.architecture, found.frozen) == (None, False)
    with pytest.raises(UsageError, match="No backbone 'no such one'"):
        planned(Settings(backbone="no such one"))


def test_patches_keep_their_size_and_are_windows_of_larger_pictures(tmp_path: Path) -> None:
    (tmp_path / "patches.json").write_text(json.dumps({"size": 96}), encoding="utf-8")
    found = planned(data=tmp_path).input
    assert (found.size, found.windows) == (96, True)
    assert planned(Settings(size=96), data=tmp_path).input == found


def test_patches_are_not_resized_since_windows_of_larger_pictures_would_not_be(tmp_path: Path) -> None:
    (tmp_path / "patches.json").write_text(json.dumps({"size": 96}), encoding="utf-8")
    message = r"holds patches of 96 px.*Leave out --size 64.*relmask patches DATA -o NEW_PATCHES --size 64"
    with pytest.raises(UsageError, match=message):
        planned(Settings(size=64), data=tmp_path)


def test_only_networks_from_scratch_see_standardised_patches(tmp_path: Path) -> None:
    (tmp_path / "patches.json").write_text(json.dumps({"size": 96}), encoding="utf-8")
    scratch = Settings(backbone="vgg-narrow")
    assert planned(scratch, data=tmp_path).input.standardised
    assert not planned(scratch).input.standardised
    assert not planned(data=tmp_path).input.standardised
    assert not planned(scratch, data=tmp_path, own=True).input.standardised


def test_what_the_user_chooses_holds() -> None:
    found = planned(Settings(epochs=3, batch_size=5, size=100, composite="epsilon_plus"))
    assert (found.schedule.epochs, found.schedule.batch_size) == (3, 5)
    assert (found.input.size, found.composite) == (100, "epsilon_plus")


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"size": 31},
        {"batch_size": 1},
        {"false_alarms": 1.0},
        {"resplit": "groups"},
        {"epoch": 3},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(wrong)


OTHERS = sorted(set(ZOO) - {"vgg11", "vgg11-bn", "vgg16", "resnet18", "resnet50", "dinov2-small"})


@pytest.mark.parametrize(
    ("name", "size"),
    [
        *itertools.product(OTHERS, [32, 33, 64, 100]),
        *itertools.product(["dinov2-small", "efficientnet-lite0+dinov2-small"], [42, 98]),
    ],
)
@torch.no_grad()
def test_what_is_planned_can_be_built_and_run(name: str, size: int) -> None:
    for settings in (
        Settings(backbone=name, size=size),
        Settings(backbone=name, size=size, weights=Path("w")),
    ):
        found = planned(settings)
        assert found.architecture is not None
        model = bundle.build(found.architecture, 2, size, pretrained=False).eval()
        assert model(torch.rand(1, 3, size, size)).shape == (1, 2)
