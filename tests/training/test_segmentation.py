import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from relmask.data.reading import Intensity
from relmask.inference.segmentation import SegmentationModel
from relmask.progress import Progress, silent
from relmask.training.arithmetic import Arithmetic
from relmask.training.loop import History
from relmask.training.pixel_dataset import VOID, PixelDataset
from relmask.training.segmentation import (
    as_targets,
    cross_entropy,
    dice_loss,
    fit_segmenter,
    input_of,
    new_segmentation_model,
    overlaps,
)

CPU = Arithmetic(torch.device("cpu"))


def test_void_pixels_are_unknown_only_for_the_classes_that_the_label_names() -> None:
    maps = torch.tensor([[[0, 1], [2, VOID]]], dtype=torch.uint8)
    wanted, known = as_targets(maps, torch.tensor([[1.0, 0.0]]))
    assert wanted[0, 0].tolist() == [[0, 1], [0, 0]]
    assert wanted[0, 1].tolist() == [[0, 0], [0, 0]]
    assert known[0, 0].tolist() == [[1, 1], [1, 0]]
    assert known[0, 1].tolist() == [[1, 1], [1, 1]]


def test_what_is_unknown_costs_nothing() -> None:
    maps = torch.tensor([[[0, 1], [VOID, VOID]]], dtype=torch.uint8)
    wanted, known = as_targets(maps, torch.ones(1, 1))
    logits = torch.randn(1, 1, 2, 2)
    other = logits.clone()
    other[0, 0, 1] = 9.0
    for loss in (cross_entropy, lambda *given: dice_loss(*overlaps(*given))):
        assert loss(logits, wanted, known) == loss(other, wanted, known)
    plain = functional.binary_cross_entropy_with_logits(logits[0, 0, 0], torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(cross_entropy(logits, wanted, known), plain)


def test_a_class_of_few_pixels_weighs_as_much_as_one_of_many() -> None:
    wanted = torch.zeros(1, 2, 100, 100)
    wanted[0, 0, :50], wanted[0, 1, 0, :20] = 1, 1
    known = torch.ones_like(wanted)

    def loss(missed: int) -> float:
        logits = (wanted - 0.5) * 40
        logits[0, missed] = -20
        return float(dice_loss(*overlaps(logits, wanted, known)))

    assert loss(0) == pytest.approx(loss(1), rel=0.06) == pytest.approx(0.5, rel=0.06)


def test_what_is_said_in_pictures_without_the_class_costs() -> None:
    wanted = torch.zeros(2, 1, 20, 20)
    wanted[0, 0, :4] = 1
    known = torch.ones_like(wanted)
    right = (wanted - 0.5) * 40
    alarm = right.clone()
    alarm[1] = 20
    assert dice_loss(*overlaps(right, wanted, known)) < 1e-6
    assert dice_loss(*overlaps(alarm, wanted, known)) > 0.6


def discs(count: int, seed: int) -> PixelDataset:
    """Noise with a bright disc in every second picture."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(48), torch.arange(48), indexing="ij")
    images, maps, targets = [], [], []
    for number in range(count):
        centre = torch.randint(12, 36, (2,), generator=generator)
        inside = ((y - centre[0]).square() + (x - centre[1]).square() < 60) & bool(number % 2)
        image = torch.randint(60, 120, (3, 48, 48), generator=generator) + 80 * inside
        images.append(image.to(torch.uint8))
        maps.append(inside.to(torch.uint8))
        targets.append([float(number % 2)])
    names = [str(number) for number in range(count)]
    return PixelDataset(names, images, maps, torch.tensor(targets).view(count, 1), (48,))


def fitted(
    folder: Path, epochs: int, steps: int = 2, *, frozen: bool = False, progress: Progress = silent
) -> tuple[SegmentationModel, History]:
    spec = input_of("vgg-narrow", 48, False, Intensity())
    model = new_segmentation_model("vgg-narrow", 1, spec, CPU.device, 0)
    if frozen:
        model.network.get_submodule("encoder").requires_grad_(False)
    history = fit_segmenter(
        model,
        discs(16, 0),
        discs(8, 1),
        CPU,
        folder,
        epochs=epochs,
        steps=steps,
        batch_size=4,
        seed=0,
        progress=progress,
    )
    return model, history


def test_it_learns_where_things_are(tmp_path: Path) -> None:
    model, history = fitted(tmp_path, 3, 15)
    unseen = discs(8, 2)
    images = torch.stack([unseen.images[number] for number in range(8)]).float() / 255
    found = model.relevance(images, torch.zeros(8, dtype=torch.long)) > 0.5
    truth = torch.stack([unseen.maps[number] for number in range(8)]) > 0
    assert (found & truth).sum() / (found | truth).sum() > 0.6
    assert history.epochs[-1].val_auroc == 1
    assert history.epochs[-1].val_loss < history.epochs[0].val_loss


def test_a_stopped_training_goes_on_to_the_same_end(tmp_path: Path) -> None:
    whole, history = fitted(tmp_path / "whole", 2)
    calls = 0

    def stop(task: str, done: int, total: int, note: str = "") -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fitted(tmp_path / "resumed", 2, progress=stop)
    resumed, again = fitted(tmp_path / "resumed", 2)
    assert again.epochs == history.epochs
    torch.testing.assert_close(resumed.network.state_dict(), whole.network.state_dict(), rtol=0, atol=0)


def test_a_frozen_encoder_stays_as_it_is(tmp_path: Path) -> None:
    spec = input_of("vgg-narrow", 48, False, Intensity())
    before = (
        new_segmentation_model("vgg-narrow", 1, spec, CPU.device, 0)
        .network.get_submodule("encoder")
        .state_dict()
    )
    after = fitted(tmp_path, 1, frozen=True)[0].network.get_submodule("encoder").state_dict()
    torch.testing.assert_close(after, before, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "frozen", "learns"),
    [("efficientnet-lite0", True, False), ("efficientnet-lite0", False, True), ("vgg-narrow", True, True)],
)
def test_only_an_encoder_with_weights_can_be_frozen(name: str, frozen: bool, learns: bool) -> None:
    spec = input_of(name, 64, False, Intensity())
    model = new_segmentation_model(name, 2, spec, CPU.device, 0, frozen=frozen)
    assert any(p.requires_grad for p in model.network.get_submodule("encoder").parameters()) == learns


def test_nothing_to_validate_on_is_no_loss(tmp_path: Path) -> None:
    model = new_segmentation_model(
        "vgg-narrow", 1, input_of("vgg-narrow", 48, False, Intensity()), CPU.device, 0
    )
    history = fit_segmenter(
        model,
        discs(4, 0),
        discs(0, 0),
        CPU,
        tmp_path,
        epochs=1,
        steps=1,
        batch_size=2,
        seed=0,
        progress=silent,
    )
    assert math.isnan(history.epochs[0].val_loss)
    assert history.epochs[0].val_auroc is None
