"""What the public edge takes of models, images and gradient modes, and what it says of the rest."""

import copy
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import relmask
from relmask.errors import RelmaskError, UnsupportedModel, UsageError
from relmask.lrp import LRP, Explainer, compile

SHAPE = (2, 3, 8, 8)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(1)
    pool = [nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), *pool, nn.Linear(4, 3, bias=False)).eval()


@pytest.fixture(scope="module")
def explainer(model: nn.Module) -> Explainer:
    return compile(model, torch.rand(SHAPE))


@pytest.fixture
def images() -> Tensor:
    return torch.rand(SHAPE)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_floats_of_another_kind_are_cast_to_the_models(
    model: nn.Module, explainer: Explainer, images: Tensor, dtype: torch.dtype
) -> None:
    wanted = explainer(images.to(dtype).float(), 1)[1]
    for relevance in (
        explainer(images.to(dtype), 1)[1],
        relmask.explain(model, images.to(dtype), target=1).relevance,
    ):
        assert relevance.dtype == torch.float32
        torch.testing.assert_close(relevance, wanted)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_a_model_of_other_floats_is_explained_in_its_own(
    model: nn.Module, images: Tensor, dtype: torch.dtype
) -> None:
    other = copy.deepcopy(model).to(dtype)
    relevance = relmask.explain(other, images, target=1).relevance
    assert relevance.dtype == dtype
    assert torch.equal(relevance, relmask.explain(other, images.to(dtype), target=1).relevance)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda images: (images * 255).byte(), r"tensor of floats .* got torch.uint8. .* / 255"),
        (lambda images: images > 0.5, "got torch.bool"),
        (lambda images: images.to(torch.complex64), "got torch.complex64"),
        (lambda images: images.numpy(), r"got ndarray of shape \(2, 3, 8, 8\).* torch.from_numpy"),
        (lambda images: list(images), "got list.* torch.stack"),
        (lambda images: None, "got NoneType"),
        (lambda images: images[0, 0, 0], r"got a tensor of shape \(8,\)"),
        (lambda images: images[:, :, :0], r"got a tensor of shape \(2, 3, 0, 8\)"),
        (lambda images: images.to_sparse(), "sparse"),
        (lambda images: images.to("meta"), "'meta'"),
        (lambda images: images[0], r"cannot run on images of shape \(3, 8, 8\).*\n.*image\[None\]"),
        (
            lambda images: images[:, :2],
            r"images of shape \(2, 2, 8, 8\).*expected .* 3 channels",
        ),
        (lambda images: images[..., :2], r"cannot run on images of shape \(2, 3, 8, 2\).*Kernel size"),
        (
            lambda images: images / torch.tensor([0.0, 1]).view(2, 1, 1, 1),
            "1 of 2 images, first in image 0",
        ),
        (lambda images: images.clone().fill_(torch.nan), "2 of 2 images"),
    ],
    ids=[
        "bytes",
        "bool",
        "complex",
        "array",
        "list",
        "nothing",
        "one axis",
        "no rows",
        "sparse",
        "meta",
        "no batch",
        "two channels",
        "too small",
        "infinite",
        "NaN",
    ],
)
def test_other_images_are_refused_with_what_is_taken(
    model: nn.Module, explainer: Explainer, images: Tensor, change: Callable[[Tensor], Any], reason: str
) -> None:
    wrong = change(images)
    for explain in (
        lambda: relmask.explain(model, wrong, target=0),
        lambda: explainer(wrong, 0),
        lambda: explainer.each(wrong, [0]),
        lambda: explainer.inner(wrong, "0"),
        lambda: explainer.ledger(wrong),
        lambda: LRP(model).attribute(wrong, 0),
    ):
        with pytest.raises(UsageError, match=reason):
            explain()


def test_images_that_overflow_in_the_explainers_floats_are_refused(explainer: Explainer) -> None:
    small = copy.deepcopy(explainer).half()
    with pytest.raises(UsageError, match=r"as torch.float16\) are in 1 of 2 images, first in image 1"):
        small(torch.tensor([1.0, 1e6]).view(2, 1, 1, 1).expand(SHAPE), 0)


def test_images_on_another_device_are_refused(explainer: Explainer, images: Tensor) -> None:
    elsewhere = copy.deepcopy(explainer).to("meta")
    with pytest.raises(UsageError, match=r"images are on cpu, the explainer on meta. Move one with .to\(\)"):
        elsewhere(images)


def test_no_images_have_explanations_without_images(
    model: nn.Module, explainer: Explainer, images: Tensor
) -> None:
    none = images[:0]
    explanation = relmask.explain(model, none, target=1)
    assert explanation.logits.shape == (0, 3)
    assert explanation.relevance.shape == (0, 3, 8, 8)
    assert explanation.conserved.shape == (0,)
    assert compile(model, none)(images)[1].shape == SHAPE
    assert explainer.each(none, [0, 1])[1].shape == (2, 0, 3, 8, 8)
    assert explainer.inner(none, "1")["1"].shape == (0, 4, 6, 6)
    assert compile(model, images, stop="1")(none)[1].shape == (0, 3, 8, 8)
    assert LRP(model).attribute(none).shape == (0, 3, 8, 8)  # type: ignore[union-attr]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.enable_grad, torch.inference_mode])
def test_gradient_modes_change_nothing(
    model: nn.Module, images: Tensor, mode: Callable[[], AbstractContextManager[None]]
) -> None:
    wanted = relmask.explain(model, images, target=1).relevance
    with mode():
        made = compile(model, images, sizes=False)
        for relevance in (made(images, 1)[1], relmask.explain(model, images, target=1).relevance):
            assert torch.equal(relevance, wanted)
        made(torch.rand(2, 3, 9, 9))  # compiled now
    relevance = made(images.requires_grad_(), 1)[1]
    assert torch.equal(relevance, wanted)
    assert not relevance.requires_grad
    assert made(torch.rand(2, 3, 9, 9))[1].isfinite().all()


def test_images_and_models_made_in_inference_mode_are_explained(images: Tensor) -> None:
    with torch.inference_mode():
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        inside = images.clone()
    assert torch.equal(compile(model, inside)(inside, 1)[1], compile(model, images)(images, 1)[1])


class Uncopyable(nn.Linear):
    def __deepcopy__(self, memo: object) -> "Uncopyable":
        raise RuntimeError("holds a camera")


@pytest.mark.parametrize(
    ("make", "error", "reason"),
    [
        (lambda: lambda images: images.mean((2, 3)), UsageError, "instance of torch.nn.Module, got function"),
        (lambda: nn.Linear, UsageError, "got the class Linear"),
        (lambda: nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten()), UsageError, "0.weight .* no values yet"),
        (lambda: nn.Linear(3, 2, device="meta"), UsageError, "weight of Linear has no values yet"),
        (lambda: Uncopyable(3, 2), UnsupportedModel, "cannot be copied .*: RuntimeError: holds a camera"),
    ],
    ids=["function", "class", "lazy", "meta", "uncopyable"],
)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_what_is_no_model_is_refused(
    make: Callable[[], Any], error: type[RelmaskError], reason: str, images: Tensor
) -> None:
    with pytest.raises(error, match=reason):
        compile(make(), images)


class Returning(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (lambda x: x.mean((0, 2, 3))[None], "(1, 3)"),
        (lambda x: x.mean((0, 2, 3)), "(3,)"),
        (lambda x: x.mean((2, 3))[:, :0], "(2, 0)"),
    ],
    ids=["one row", "no rows", "no classes"],
)
def test_logits_have_a_row_for_each_image(
    function: Callable[[Tensor], Tensor], found: str, images: Tensor
) -> None:
    reason = re.escape(f"logits (N, K); it returns {found} for images of shape (2, 3, 8, 8)")
    with pytest.raises(UnsupportedModel, match=reason):
        compile(Returning(function), images)


def test_a_model_that_fails_is_told_by_its_own_words(images: Tensor) -> None:
    model = Returning(lambda x: x[:, 7])
    with pytest.raises(UsageError, match=r"Returning cannot run on images .*: IndexError: "):
        compile(model, images)


def test_a_compiled_model_is_explained_without_compiling_it(model: nn.Module, images: Tensor) -> None:
    def backend(graph: object, inputs: object) -> Callable[..., Any]:
        raise AssertionError("compiled")

    compiled: nn.Module = torch.compile(model, backend=backend)  # type: ignore[assignment]
    assert torch.equal(compile(compiled, images)(images)[1], compile(model, images)(images)[1])


def test_an_array_of_classes_is_a_target(explainer: Explainer, images: Tensor) -> None:
    wanted = explainer(images, torch.tensor([2, 0]))[1]
    for target in ([2, 0], (2, 0), np.array([2, 0])):
        assert torch.equal(explainer(images, target)[1], wanted)
