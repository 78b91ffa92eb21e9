from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from relmask.data.reading import Intensity
from relmask.inference.explained import ExplainedClassifier
from relmask.inference.segmenter import Segmenter
from relmask.masks.settings import MaskSettings
from relmask.masks.support import support
from relmask.masks.thresholds import Calibration, ClassThresholds
from relmask.models.bundle import Input

Picture = NDArray[np.float32]
SIZE = 16
CPU = torch.device("cpu")


class Colours(nn.Module):
    """How much red and how much green there is: relevance is the colour itself."""

    def __init__(self) -> None:
        super().__init__()
        self.see = nn.Conv2d(3, 2, 1, bias=False)
        with torch.no_grad():
            self.see.weight.copy_(torch.eye(3)[:2, :, None, None])

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.see(images).sum((2, 3))
        return logits


def spec(windows: bool = False) -> Input:
    return Input(size=SIZE, windows=windows, mean=(0, 0, 0), std=(1, 1, 1), intensity=Intensity())


def segmenter(
    windows: bool = False,
    *,
    gates: Sequence[float] = (4, 4),
    masks: MaskSettings | None = None,
    batch_size: int = 3,
    level: float = 0.3,
    never_clean: bool = False,
) -> Segmenter:
    classes = {
        name: ClassThresholds(
            clean_median=0,
            clean_spread=1,
            gate=gate,
            level=level,
            slope=1,
            offset=-gate / 4,
        )
        for name, gate in zip(("red", "green"), gates, strict=True)
    }
    calibration = Calibration(
        classes=classes,
        false_alarms=0.01,
        slope=1,
        offset=-5,
        saw_masks=False,
        negatives=9,
        groups=9,
        never_clean=never_clean,
        cross_fitted=False,
    )
    seen = spec(windows).model_copy(update={"masks": masks})
    explained = ExplainedClassifier(Colours(), seen, "epsilon_plus", CPU, batch_size)
    return Segmenter(explained, ("red", "green"), calibration)


def picture(
    height: int = SIZE, width: int = SIZE, spots: Mapping[int, tuple[slice, slice]] | None = None
) -> Picture:
    """Black, with spots of one colour channel each."""
    image = np.zeros((height, width, 3), np.float32)
    for channel, (rows, columns) in (spots or {}).items():
        image[rows, columns, channel] = 0.9
    return image


RED = {0: (slice(2, 6), slice(3, 9))}
BOTH = {0: (slice(2, 6), slice(3, 9)), 1: (slice(9, 13), slice(8, 14))}


def test_a_mask_lies_where_the_class_is() -> None:
    found = segmenter().segment_images([picture(spots=RED)])[0]
    expected = np.zeros((SIZE, SIZE), np.uint8)
    expected[RED[0]] = 1
    assert np.array_equal(found.mask, expected)
    assert found.status == "defect"
    assert found.relevance is not None
    np.testing.assert_allclose(found.relevance, picture(spots=RED)[..., 0], atol=1e-4)
    assert [(part.label, part.area, part.box) for part in found.components] == [("red", 24, (3, 2, 9, 6))]
    assert found.scores["red"] > 0.99 > 0.5 > found.scores["green"]
    assert found.score > 0.99


def test_two_defects_in_one_picture_both_get_their_mask() -> None:
    found = segmenter().segment_images([picture(spots=BOTH)])[0]
    assert {part.label for part in found.components} == {"red", "green"}
    assert (found.mask == 1).sum() == (found.mask == 2).sum() == 24


@pytest.mark.parametrize("dims", [(1,), (2,), (1, 2)])
def test_the_mirror_of_a_picture_has_the_mirror_of_its_relevance(
    dims: tuple[int, ...],
) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 1, 3), nn.Flatten())
    model.append(nn.Linear(25, 1))
    explained = ExplainedClassifier(model, spec(), "epsilon_plus", CPU)
    images, target = torch.rand(2, 3, SIZE, SIZE), torch.zeros(2, dtype=torch.long)
    found = explained.relevance(images, target)
    flipped = explained.relevance(images.flip([dim + 1 for dim in dims]), target)
    torch.testing.assert_close(flipped, found.flip(dims))
    alone = explained.explainer(explained.normalise(images), target)[1].sum(1)
    assert not torch.allclose(found, alone)


def test_a_standardised_run_gives_the_same_in_other_light() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 14 * 14, 1))
    explained = ExplainedClassifier(
        model, spec().model_copy(update={"standardised": True}), "epsilon_gamma_box", CPU
    )
    images, target = 0.5 * torch.rand(2, 3, SIZE, SIZE), torch.zeros(2, dtype=torch.long)
    torch.testing.assert_close(explained.normalise(images + 0.3), explained.normalise(images))
    found, brighter = explained.relevance(images, target), explained.relevance(images + 0.3, target)
    torch.testing.assert_close(brighter, found, atol=1e-4, rtol=1e-3)


def test_a_clean_picture_gets_an_empty_mask_and_is_not_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def explain(*_: object) -> None:
        raise AssertionError("a clean picture was explained")

    chosen = segmenter(gates=(99, 99))
    monkeypatch.setattr(chosen.model, "relevance", explain)
    found = chosen.segment_images([picture(spots=BOTH)])[0]
    assert not found.mask.any()
    assert (found.status, found.relevance, found.components) == ("clean", None, ())


def test_only_classes_that_pass_their_gates_are_masked() -> None:
    found = segmenter(gates=(99, 4)).segment_images([picture(spots=BOTH)])[0]
    assert {part.label for part in found.components} == {"green"}
    assert found.relevance is not None
    assert found.relevance[9, 8] > 0.5 > found.relevance[2, 3]


@pytest.mark.parametrize("shape", [(16, 16), (48, 32), (40, 70), (9, 30), (5, 5), (1, 1)])
@pytest.mark.parametrize("windows", [True, False])
def test_masks_and_maps_have_the_size_of_the_picture(shape: tuple[int, int], windows: bool) -> None:
    red = picture(*shape, spots={0: (slice(None), slice(None))})
    found = segmenter(windows).segment_images([red])[0]
    assert found.mask.shape == shape
    assert found.mask.dtype == np.uint8
    assert found.mask.all()
    assert found.relevance is not None
    assert found.relevance.shape == shape
    np.testing.assert_allclose(found.relevance, 0.9, atol=1e-3)


def test_windows_find_a_spot_that_resizing_would_lose() -> None:
    small = picture(160, 120, spots={1: (slice(77, 81), slice(51, 55))})
    found = segmenter(windows=True).segment_images([small])[0]
    assert np.array_equal(found.mask, 2 * (small[..., 1] > 0))
    model = segmenter(windows=True).model
    logits = model.logits(model.cut(small)[0]).amax(0)
    assert logits.tolist() == pytest.approx([0, 16 * 0.9])  # of the window that holds all of it
    assert not segmenter().segment_images([small])[0].mask.any()


def test_beside_a_window_with_a_defect_less_of_it_is_enough() -> None:
    defect = picture(16, 96, {0: (slice(4, 8), slice(2, 8))})
    goes_on, elsewhere = (slice(5, 6), slice(18, 20)), (slice(5, 6), slice(90, 92))
    for place in (goes_on, elsewhere):
        defect[*place, 0] = 0.9
    mask = segmenter(windows=True).segment_images([defect])[0].mask
    assert mask[4:8, 2:8].all()
    assert mask[goes_on].all()
    assert not mask[elsewhere].any()


def test_a_picture_alone_is_segmented_as_in_a_batch() -> None:
    chosen = segmenter(windows=True)
    pictures = [picture(40, 30, RED), picture(16, 16), picture(spots=BOTH), picture(7, 50, RED)]
    together = chosen.segment_images(pictures)
    for one, image in zip(together, pictures, strict=True):
        alone = chosen.segment_images([image])[0]
        assert np.array_equal(one.mask, alone.mask)
        assert one.scores == pytest.approx(alone.scores)
    assert chosen.segment_images([]) == []


def test_with_settings_masks_are_cut_from_support_and_relevance_is_smoothed() -> None:
    plain = segmenter().segment_images([picture(spots=BOTH)])[0]
    settings = MaskSettings(smoothing=1.5)
    found = segmenter(masks=settings, level=1.0).segment_images([picture(spots=BOTH)])[0]
    assert plain.relevance is not None
    assert found.relevance is not None
    assert found.relevance.max() < plain.relevance.max()
    assert found.relevance.sum() == pytest.approx(plain.relevance.sum(), rel=0.1)
    assert np.array_equal(plain.maps["red"], plain.relevance)
    red = np.array(picture(spots=BOTH)[..., 0] > 0)
    smooth = gaussian_filter(np.float32(0.9) * red, 1.5, mode="nearest")
    np.testing.assert_allclose(found.relevance, smooth, atol=1e-3)
    expected = support(found.relevance, picture(spots=BOTH), settings)
    np.testing.assert_allclose(found.maps["red"], expected, rtol=1e-4, atol=1e-5)
    both = found.maps["green"] > 1
    assert np.array_equal((found.mask == 1) | both, (found.maps["red"] > 1) | both)


@pytest.mark.parametrize("windows", [True, False])
def test_where_no_picture_is_clean_the_strongest_class_is_masked_below_its_gate(windows: bool) -> None:
    image = picture(16, 40, BOTH)
    image[2, 3, 0] = 0  # a little less red than green
    found = segmenter(windows, gates=(99, 99), never_clean=True).segment_images([image])[0]
    assert {part.label for part in found.components} == {"green"}
    assert found.status == "defect"
    assert not segmenter(windows, gates=(99, 99)).segment_images([image])[0].mask.any()


def explaining(windows: bool = False, gates: Sequence[float] = (4, 4)) -> Segmenter:
    plain = segmenter(windows, gates=gates)
    return Segmenter(plain.model, plain.classes, plain.calibration, explain_clean=True)


@pytest.mark.parametrize("windows", [True, False])
def test_a_clean_picture_is_explained_if_asked_and_its_mask_stays_empty(windows: bool) -> None:
    image = picture(16, 40, RED) if windows else picture(spots=BOTH)
    found = explaining(windows, (99, 98)).segment_images([image])[0]
    assert (found.status, found.components) == ("clean", ())
    assert not found.mask.any()
    assert (found.explained, set(found.maps)) == ("red", {"red"})  # as bright as green, and first
    assert found.relevance is not None
    assert np.array_equal(found.relevance > 0.2, image[..., 0] > 0)
    assert found.novelty_map is None  # such a model knows no clean pictures


def test_the_map_of_a_clean_picture_is_the_one_that_it_would_have_above_its_gate() -> None:
    image = picture(16, 96, {1: (slice(4, 8), slice(2, 8))})
    image[5:6, 18:20, 1] = image[5:6, 90:92, 1] = 0.9  # goes on, and lies elsewhere
    plain = segmenter(windows=True)
    above, below = (
        Segmenter(
            plain.model, plain.classes, plain.calibration.with_gate("green", gate), explain_clean=True
        ).segment_images([image])[0]
        for gate in (21, 22)
    )
    assert above.status == "defect"
    assert below.explained == "green"
    assert above.relevance is not None
    assert below.relevance is not None
    assert (below.relevance[5, 18:20] > 0.1).all()
    assert np.array_equal(above.relevance, below.relevance)


def test_what_passes_its_gate_is_explained_as_ever() -> None:
    found = explaining(gates=(4, 99)).segment_images([picture(spots=BOTH)])[0]
    assert (found.status, found.explained, set(found.maps)) == ("defect", "", {"red"})
    assert found.logits == pytest.approx({"red": 24 * 0.9, "green": 24 * 0.9})
