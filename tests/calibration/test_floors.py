from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from relmask.calibration.floors import SHARE, choose_floors
from relmask.calibration.from_labels import choose_thresholds, otsu
from relmask.data.index import Sample
from relmask.data.reading import Intensity
from relmask.inference.relevance import RelevanceModel
from relmask.masks.gates import Scores, gated_anew
from relmask.masks.settings import MaskSettings
from relmask.masks.thresholds import Calibration
from relmask.models.bundle import Input
from relmask.progress import silent

SIDE = 20
CLASSES = ("crack", "pit")
UNSMOOTHED = MaskSettings(smoothing=0)


class Channels(RelevanceModel):
    """A picture is as red or green as its class is likely, and its red and green are relevant."""

    def __init__(self, *, windows: bool = False, masks: MaskSettings | None = UNSMOOTHED) -> None:
        spec = Input(
            size=SIDE, windows=windows, mean=(0,) * 3, std=(1,) * 3, masks=masks, intensity=Intensity()
        )
        super().__init__(nn.Identity(), spec, torch.device("cpu"), batch_size=4)

    def logits(self, images: Tensor) -> Tensor:
        return images[:, :2].amax((2, 3))

    def relevance(self, images: Tensor, targets: Tensor) -> Tensor:
        return images[torch.arange(len(images)), targets]


def pictures(folder: Path, *peaks: tuple[int, int]) -> list[Sample]:
    """Pictures whose red and green are highest in 5 % of the pixels, and half as high in the rest."""
    found = []
    for number, peak in enumerate(peaks):
        pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
        pixels[..., :2] = np.array(peak) // 2
        pixels[0, :, :2] = peak
        Image.fromarray(pixels).save(folder / f"{number}.png")
        found.append(Sample(folder / f"{number}.png", f"{number}.png", frozenset(), str(number)))
    return found


def gated() -> Calibration:
    targets = np.array([[0, 0], [0, 0], [1, 0], [0, 1]], bool)
    scores = Scores(np.array([[0.0, 0], [1, 1], [2, 0], [0, 2]]), targets, list(range(4)))
    return choose_thresholds(scores, otsu, CLASSES, 0.0)


def test_a_floor_is_what_few_pixels_of_the_clean_pictures_of_its_class_exceed(tmp_path: Path) -> None:
    clean = pictures(tmp_path, (100, 0), (120, 0), (200, 0), (0, 40))
    found = choose_floors(Channels(), clean, gated(), silent)
    assert found == pytest.approx([120 / 255, 40 / 255])


def test_single_bold_pixels_do_not_raise_it(tmp_path: Path) -> None:
    [sample] = pictures(tmp_path, (100, 0))
    pixels = np.asarray(Image.open(sample.path)).copy()
    pixels[5, : int(SHARE * SIDE * SIDE) - 1, 0] = 255
    Image.fromarray(pixels).save(sample.path)
    assert choose_floors(Channels(), [sample], gated(), silent)[0] == pytest.approx(100 / 255, abs=0.02)


def test_a_class_that_no_clean_picture_suggests_has_the_median_of_all(tmp_path: Path) -> None:
    clean = pictures(tmp_path, (100, 0), (120, 0), (200, 0))
    assert choose_floors(Channels(), clean, gated(), silent) == pytest.approx([120 / 255] * 2)


def test_no_more_pictures_are_explained_than_asked_for_evenly_spaced(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    clean = pictures(tmp_path, *[(10 * number, 0) for number in range(1, 11)])
    found = choose_floors(
        Channels(), clean, gated(), lambda _, done, total, note="": seen.append((done, total)), 3
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert 10 / 255 < found[0] < 100 / 255


def test_negative_relevance_of_clean_pictures_is_a_floor_of_0(tmp_path: Path) -> None:
    class Against(Channels):
        def relevance(self, images: Tensor, targets: Tensor) -> Tensor:
            return -super().relevance(images, targets)

    assert choose_floors(Against(), pictures(tmp_path, (100, 0)), gated(), silent) == [0, 0]


def test_without_clean_pictures_in_windows_and_of_maps_as_they_come_nothing_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explained(*_: object) -> Tensor:
        raise AssertionError("a picture was explained")

    monkeypatch.setattr(Channels, "relevance", explained)
    clean = pictures(tmp_path, (100, 0))
    for model, samples in ((Channels(), []), (Channels(windows=True), clean), (Channels(masks=None), clean)):
        assert choose_floors(model, samples, gated(), silent) == [0, 0]


def test_thresholds_hold_the_floors_and_other_gates_leave_them() -> None:
    targets = np.array([[0, 0], [0, 0], [1, 0], [0, 1]], bool)
    scores = Scores(np.array([[0.0, 0], [1, 1], [2, 0], [0, 2]]), targets, list(range(4)))
    gates: list[Calibration] = []

    def floors(calibration: Calibration) -> list[float]:
        gates.append(calibration)
        return [0.25, 0.5]

    found = choose_thresholds(scores, otsu, CLASSES, 0.0, floors=floors)
    assert found.floors == {0: 0.25, 1: 0.5}
    assert [of.gate for of in gates[0].classes.values()] == [of.gate for of in found.classes.values()]
    assert gated_anew(found, scores, 0.5).floors == found.floors
    assert gated().floors == {0: 0, 1: 0}
