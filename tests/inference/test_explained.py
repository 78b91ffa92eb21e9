import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from relmask.data.reading import Intensity
from relmask.errors import UnsupportedModel, UsageError
from relmask.inference.explained import ExplainedClassifier, composite_of
from relmask.inference.run import find_device
from relmask.masks.growth import SURE
from relmask.models.bundle import Architecture, Input, build

SIZE = 16
CPU = torch.device("cpu")


def classifier() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def spec() -> Input:
    return Input(size=SIZE, windows=False, mean=(0, 0, 0), std=(1, 1, 1), sigma=0, intensity=Intensity())


def test_the_box_of_a_composite_is_the_range_of_the_input() -> None:
    unusual = spec().model_copy(update={"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)})
    assert "ZBox(low=(-2.0, -2.0, -2.0), high=(2.0, 2.0, 2.0))" in str(
        composite_of("epsilon_gamma_box", unusual)
    )
    with pytest.raises(UsageError, match="No composite named 'lrp'"):
        composite_of("lrp", unusual)


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (nn.Sequential(classifier(), nn.Softmax(1)), UnsupportedModel, r"(?i)softmax"),
        (nn.Conv2d(3, 2, 1), UnsupportedModel, r"\(N, K\)"),
        (nn.Sequential(classifier(), nn.Linear(2, 5)), UsageError, "5 logits, but the data have 2"),
    ],
)
def test_a_model_that_will_not_do_is_refused(model: nn.Module, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ExplainedClassifier(model, spec(), "epsilon_plus", CPU).require(2)
    ExplainedClassifier(classifier(), spec(), "epsilon_plus", CPU).require(2)


@pytest.mark.parametrize("name", ["abacus", "meta", "cuda:99"])
def test_a_device_that_is_not_there_is_a_usage_error(name: str) -> None:
    assert find_device("cpu") == CPU
    with pytest.raises(UsageError, match=rf"No device '{name}' here \(.*\)\. Choose auto, cpu or cuda\."):
        find_device(name)


class Bright(ExplainedClassifier):
    """A defect is bright and novel wherever it is, and relevant in its first four columns."""

    def __init__(self, windows: bool = False, sigma: float = 0.0) -> None:
        parts = Architecture(backbone="vgg-narrow", taps=(2,), margin=0, stride=4, hidden=4, novelty_groups=1)
        chosen = spec().model_copy(update={"windows": windows, "sigma": sigma})
        super().__init__(build(parts, 1, SIZE), chosen, "relmask", CPU)

    def relevance(self, images: Tensor, targets: Tensor) -> Tensor:
        columns = torch.arange(SIZE) < 6
        return (images[:, 0] > 0.5).float() * columns

    def novelty_map(self, images: Tensor, targets: Tensor) -> NDArray[np.float32] | None:
        return None if self.spec.windows else 5 * (images[:, 0] > 0.5).float().numpy()


def bright(columns: slice) -> Tensor:
    images = torch.zeros(1, 3, SIZE, SIZE)
    images[:, :, 6:10, columns] = 1
    return images


def test_relevance_of_a_whole_picture_grows_over_what_stays_anomalous() -> None:
    image, target = bright(slice(2, 14)), torch.tensor([0])
    model = Bright()
    drawn = model.refined(image, target)
    assert np.array_equal(drawn[0], model.relevance(image, target)[0].numpy())
    found = model.grown(image, target, drawn, 3.0)[0]
    assert np.array_equal(found > 0, bright(slice(2, 14))[0, 0].numpy() > 0)
    assert set(np.unique(found).tolist()) == {0.0, np.float32(SURE), 1.0}
    alone = bright(slice(2, 6))
    assert np.array_equal(model.grown(alone, target, model.refined(alone, target), 3.0)[0], drawn[0])
    picture, passing = image[0].permute(1, 2, 0).numpy(), np.array([[True]])
    propagated = model.completed(image, target, drawn, None)[0]
    whole = model.completed(image, target, drawn, 3.0)[0]
    assert np.array_equal(whole, model.completed(image, target, [found], None)[0])
    assert not np.array_equal(propagated, drawn[0])
    for large, expected in (({}, drawn[0]), ({0: 3.0}, whole), ({0: None}, propagated)):
        assert np.array_equal(model.maps(picture, image, [], passing, large)[0], expected)


def test_of_windows_it_is_smoothed_only() -> None:
    image, target = bright(slice(2, 14)), torch.tensor([0])
    model = Bright(windows=True)
    drawn = model.refined(image, target)
    assert np.array_equal(drawn[0], model.relevance(image, target)[0].numpy())
    assert np.array_equal(model.grown(image, target, drawn, 3.0)[0], drawn[0])
    assert np.array_equal(model.completed(image, target, drawn, None)[0], drawn[0])
    smoothed = Bright(windows=True, sigma=2.0).refined(image, target)[0]
    assert smoothed.max() < 0.8
