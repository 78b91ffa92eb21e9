"""Number formats, memory layouts, and torch's own compiler."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from relmask.lrp import compile
from tests.lrp.architectures import example, network

NAMES = ["vgg", "mobilenet v3", "convnext", "u-net", "signal"]


def alike(a: Tensor, b: Tensor) -> float:
    """Correlation."""
    return float(torch.corrcoef(torch.stack((a.float().flatten(), b.float().flatten())))[0, 1])


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_gives_nearly_the_same_map(name: str) -> None:
    model, images = network(name).float(), example(name).float()
    explainer = compile(model, images, "epsilon_plus", sizes=False)
    expected = explainer(images, 0)[1]
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
        logits, relevance = explainer(images, 0)
    assert logits.dtype == torch.bfloat16
    assert alike(relevance, expected) > 0.99
    logits, relevance = explainer.bfloat16()(images.bfloat16(), 0)
    assert logits.dtype == relevance.dtype == torch.bfloat16
    assert alike(relevance, expected) > 0.99


class Layouts(TorchDispatchMode):
    """Notes of every convolution whether its operands lie channels last."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.last: list[bool] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
        if "conv" in str(function):
            self.last += [side.is_contiguous(memory_format=torch.channels_last) for side in args[:2]]
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("composite", ["relmask", "epsilon_plus", "epsilon_alpha2_beta1"])
def test_channels_last_is_kept(composite: str) -> None:
    first = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2)]
    then = [nn.Conv2d(8, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
    model = nn.Sequential(*first, *then, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.randn(2, 3, 16, 18).contiguous(memory_format=torch.channels_last)
    explainer = compile(model, images, composite)
    layouts = Layouts()
    with layouts, torch.inference_mode():
        relevance = explainer(images, 0)[1]
    assert layouts.last
    assert all(layouts.last)
    assert relevance.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(explainer(images.contiguous(), 0)[1], relevance, rtol=1e-4, atol=1e-6)


def test_torch_compile_takes_the_whole_explanation_in_one_graph() -> None:
    model, images = network("resnet"), example("resnet")
    explainer = compile(model, images, "epsilon_alpha2_beta1", sizes=False)
    target = torch.tensor([0, 2, 1])
    compiled = torch.compile(explainer, backend="eager", fullgraph=True)
    with torch.inference_mode():
        for got, wanted in zip(compiled(images, target), explainer(images, target), strict=True):
            torch.testing.assert_close(got, wanted)
