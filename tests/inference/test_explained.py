import pytest
import torch
from torch import nn

from relmask.data.reading import Intensity
from relmask.errors import UnsupportedModel, UsageError
from relmask.inference.explained import ExplainedClassifier, composite_of
from relmask.inference.run import find_device
from relmask.models.bundle import Input

SIZE = 16
CPU = torch.device("cpu")


def classifier() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def spec() -> Input:
    return Input(size=SIZE, windows=False, mean=(0, 0, 0), std=(1, 1, 1), intensity=Intensity())


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
