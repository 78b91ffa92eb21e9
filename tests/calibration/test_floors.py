from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from relmask.calibration.floors import SHARE, choose_floors
from relmask.calibration.from_labels import choose_thresholds, otsu
from relmask.data.index import Sample
from relmask.masks.gates import Scores, gated_anew
from relmask.masks.settings import MaskSettings
from relmask.masks.thresholds import Calibration
from relmask.progress import silent
from tests.relevance import Coloured

SIDE = 20
CLASSES = ("crack", "pit")
SCORES = Scores(
    np.array([[0.0, 0], [1, 1], [2, 0], [0, 2]]),
    np.array([[0, 0], [0, 0], [1, 0], [0, 1]], bool),
    list(range(4)),
)
UNSMOOTHED = MaskSettings(smoothing=0)
Unsmoothed = partial(Coloured, SIDE, masks=UNSMOOTHED)


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
    return choose_thresholds(SCORES, otsu, CLASSES, 0.0)


def test_a_floor_is_what_few_pixels_of_the_clean_pictures_of_its_class_exceed(tmp_path: Path) -> None:
    clean = pictures(tmp_path, (100, 0), (120, 0), (200, 0), (0, 40))
    found = choose_floors(Unsmoothed(), clean, gated(), silent)
    assert found == pytest.approx([120 / 255, 40 / 255])


def test_single_bold_pixels_do_not_raise_it(tmp_path: Path) -> None:
    [sample] = pictures(tmp_path, (100, 0))
    pixels = np.asarray(Image.open(sample.path)).copy()
    pixels[5, : int(SHARE * SIDE * SIDE) - 1, 0] = 255
    Image.fromarray(pixels).save(sample.path)
    assert choose_floors(Unsmoothed(), [sample], gated(), silent)[0] == pytest.approx(100 / 255, abs=0.02)


def test_a_class_that_no_clean_picture_suggests_has_the_median_of_all(tmp_path: Path) -> None:
    clean = pictures(tmp_path, (100, 0), (120, 0), (200, 0))
    assert choose_floors(Unsmoothed(), clean, gated(), silent) == pytest.approx([120 / 255] * 2)


def test_no_more_pictures_are_explained_than_asked_for_evenly_spaced(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    clean = pictures(tmp_path, *[(10 * number, 0) for number in range(1, 11)])
    found = choose_floors(
        Unsmoothed(), clean, gated(), lambda _, done, total, note="": seen.append((done, total)), 3
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert 10 / 255 < found[0] < 100 / 255


def test_negative_relevance_of_clean_pictures_is_a_floor_of_0(tmp_path: Path) -> None:
    class Against(Coloured):
        def relevance(self, images: Tensor, targets: Tensor) -> Tensor:
            return -super().relevance(images, targets)

    assert choose_floors(
        Against(SIDE, masks=MaskSettings(smoothing=0)), pictures(tmp_path, (100, 0)), gated(), silent
    ) == [0, 0]


def test_without_clean_pictures_in_windows_and_of_maps_as_they_come_nothing_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explained(*_: object) -> Tensor:
        raise AssertionError("a picture was explained")

    monkeypatch.setattr(Coloured, "relevance", explained)
    clean = pictures(tmp_path, (100, 0))
    for model, samples in (
        (Unsmoothed(), []),
        (Unsmoothed(windows=True), clean),
        (Unsmoothed(masks=None), clean),
    ):
        assert choose_floors(model, samples, gated(), silent) == [0, 0]


def test_thresholds_hold_the_floors_and_other_gates_leave_them() -> None:
    gates: list[Calibration] = []

    def floors(calibration: Calibration) -> list[float]:
        gates.append(calibration)
        return [0.25, 0.5]

    found = choose_thresholds(SCORES, otsu, CLASSES, 0.0, floors=floors)
    assert found.floors == {0: 0.25, 1: 0.5}
    assert [of.gate for of in gates[0].classes.values()] == [of.gate for of in found.classes.values()]
    assert gated_anew(found, SCORES, 0.5).floors == found.floors
    assert gated().floors == {0: 0, 1: 0}
