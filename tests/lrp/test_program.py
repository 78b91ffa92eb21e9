from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from relmask.errors import UnsupportedModel, UnsupportedOperator, UsageError
from relmask.lrp import AlphaBeta, Composite, Epsilon, Flat, Gamma, Rule, ZPlus, first_layer, kind, register
from relmask.lrp.composites import named
from relmask.lrp.graph import capture
from relmask.lrp.operators import OPERATORS
from relmask.lrp.program import Program

EVERYWHERE = named("epsilon_plus")


class Vgg(nn.Sequential):
    """Three convolutions, a pool, a linear layer."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(inplace=True),
            nn.Conv2d(4, 5, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(5, 6, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(),
            nn.Linear(6, 3),
        )


class Convolutions(TorchDispatchMode):
    """Counts convolutions, transposed ones too."""

    names = ("convolution", *(f"conv{kind}{axes}d" for kind in ("", "_transpose") for axes in (1, 2, 3)))
    count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
        self.count += str(function).split(".")[1] in self.names
        return function(*args, **(kwargs or {}))


def program(model: nn.Module, composite: Composite = EVERYWHERE, images: Tensor | None = None) -> Program:
    return Program(capture(model.eval(), torch.rand(2, 3, 8, 8) if images is None else images, ()), composite)


@pytest.mark.parametrize(
    ("rule", "each"),
    [
        (Epsilon(), 2),
        (ZPlus(), 3),
        (ZPlus(bias=False), 3),
        (AlphaBeta(1, 0), 3),
        (Gamma(0.25), 3),
        (AlphaBeta(2, 1), 4),
        (AlphaBeta(2, 1, bias=False), 4),
    ],
    ids=lambda given: str(given),
)
def test_nothing_is_convolved_more_often_than_needed(rule: Rule, each: int) -> None:
    """Flat in the first layer, whose input may be negative: output, number of inputs, way back."""
    composite = Composite(
        "counted", ((first_layer, Flat()), (kind("convolution"), rule), (kind("linear"), Epsilon()))
    )
    compiled = program(Vgg(), composite)
    counted = Convolutions()  # type: ignore[no-untyped-call]
    with counted, torch.inference_mode():
        logits, tape = compiled(torch.rand(2, 3, 8, 8))
        compiled.back(tape, logits)
    assert counted.count == 3 + 2 * each


def test_values_are_let_go_after_their_last_use() -> None:
    compiled = program(Vgg())
    known = {compiled.image, *compiled.constants}
    logits, tape = compiled(torch.rand(2, 3, 8, 8))
    assert tape.values.keys() - known == {
        "max_pool2d_with_indices_default",  # where the winners stood
        "relu_2",  # shared by the average
        compiled.logits,
    }
    assert len(tape.affines) == 4
    compiled.back(tape, logits)
    assert tape.values.keys() - known == {compiled.logits}
    assert not tape.affines


class Unsupported(nn.Module):
    """Two operators that nobody passes relevance through, in different modules."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), Cumulated())
        self.cumulated = Cumulated()

    def forward(self, x: Tensor) -> Tensor:
        return torch.erf(self.cumulated(self.stem(x))).mean((2, 3))


class Cumulated(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.cumsum(1)


def test_all_unsupported_operators_are_named_at_once_with_their_modules() -> None:
    with pytest.raises(UnsupportedOperator) as caught:
        program(Unsupported())
    lines = str(caught.value).splitlines()
    assert lines[1:7:2] == [
        "  stem.1: aten.cumsum.default",
        "  cumulated: aten.cumsum.default",
        "  (model): aten.erf.default",
    ]
    assert all(f"{Path(__file__).name}:" in line for line in lines[2:7:2])
    assert lines[2].endswith(": return x.cumsum(1)")


def test_an_operator_can_be_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relmask.lrp.operators.table.OPERATORS", known := dict(OPERATORS))
    for overload in (torch.ops.aten.erf.default, torch.ops.aten.cumsum.default):
        register(overload, recalls="nothing")(lambda step, *arguments: (step.relevance,))
        monkeypatch.setitem(OPERATORS, overload, known[overload])
    compiled = program(Unsupported())
    logits, tape = compiled(torch.rand(2, 3, 8, 8))
    assert compiled.back(tape, logits).isfinite().all()


def test_only_overloads_can_be_registered() -> None:
    with pytest.raises(UsageError, match=r"aten\.erf is no overload"):
        register(torch.ops.aten.erf)


def test_a_convolution_with_computed_weights_is_unsupported() -> None:
    class Dynamic(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.conv2d(x, x[:1].mean((2, 3), keepdim=True)).flatten(1)

    with pytest.raises(UnsupportedOperator, match=r"conv2d.default \(its weights are computed"):
        program(Dynamic())


class Normed(nn.Module):
    """A norm written as a function, and behind it an operator that has to be opened up first, or none."""

    mean: Tensor
    variance: Tensor

    def __init__(self, norm: Callable[[Tensor, Tensor, Tensor], Tensor], opened: bool) -> None:
        super().__init__()
        self.norm, self.opened = norm, opened
        self.register_buffer("mean", torch.full((3,), 0.5))
        self.register_buffer("variance", torch.full((3,), 4.0))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x, self.mean, self.variance)
        return (y.logit(0.1) if self.opened else y).mean((2, 3))


@pytest.mark.parametrize("opened", [False, True], ids=["as it is", "opened up"])
@pytest.mark.parametrize(
    "norm",
    [
        lambda x, mean, variance: F.batch_norm(x, None, None, training=True),
        lambda x, mean, variance: F.batch_norm(x, mean, variance, training=True),
    ],
    ids=["without statistics", "with statistics that it ignores"],
)
def test_batch_norm_by_the_batch_itself_is_refused(
    norm: Callable[[Tensor, Tensor, Tensor], Tensor], opened: bool
) -> None:
    with pytest.raises(UnsupportedModel, match=r"\(\(model\): aten\.\w*batch_norm.* Use running statistics"):
        program(Normed(norm, opened))


def test_the_module_of_a_batch_norm_without_statistics_is_named() -> None:
    norm = nn.BatchNorm2d(4, track_running_stats=False)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(norm), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(UnsupportedModel, match=r"1\.0: aten\.batch_norm\.default"):
        program(model)


@pytest.mark.parametrize("opened", [False, True], ids=["as it is", "opened up"])
@pytest.mark.parametrize(
    "norm",
    [
        lambda x, mean, variance: F.batch_norm(x, mean, variance),
        lambda x, mean, variance: F.instance_norm(x, mean, variance),
        lambda x, mean, variance: F.group_norm(x, 3),
        lambda x, mean, variance: (
            x * F.batch_norm(mean.view(1, 1, 3), None, None, training=True).view(3, 1, 1)
        ),
    ],
    ids=["running statistics", "instance norm", "group norm", "of weights"],
)
def test_norms_that_keep_images_apart_are_explained(
    norm: Callable[[Tensor, Tensor, Tensor], Tensor], opened: bool
) -> None:
    model, images = Normed(norm, opened), torch.rand(2, 3, 8, 8)
    logits, tape = (compiled := program(model))(images)
    torch.testing.assert_close(logits, model(images))
    assert compiled.back(tape, logits).isfinite().all()


PROBABILITIES = {
    "softmax": nn.Softmax(1),
    "log-softmax": nn.LogSoftmax(1),
    "sigmoid": nn.Sigmoid(),
    "softmax, then scaled": nn.Sequential(nn.Softmax(1), nn.Unflatten(1, (1, 3)), nn.Flatten()),
}


@pytest.mark.parametrize("last", PROBABILITIES.values(), ids=PROBABILITIES)
def test_probabilities_are_refused_with_advice(last: nn.Module) -> None:
    with pytest.raises(
        UnsupportedModel, match=r"1.*: aten\.(log_softmax|softmax|sigmoid).*without that last"
    ):
        program(nn.Sequential(Vgg(), last))


def test_logits_that_relevance_cannot_follow_are_refused() -> None:
    class Blind(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logits = nn.Parameter(torch.randn(3))

        def forward(self, x: Tensor) -> Tensor:
            return self.logits.expand(x.shape[0], 3) + 0

    with pytest.raises(UnsupportedModel, match="do not depend on the image"):
        program(Blind())


def test_layers_without_a_rule_are_named() -> None:
    with pytest.raises(UsageError, match=r"'partial' has no rule for:\n  11: aten.linear.default"):
        program(Vgg(), Composite("partial", ((kind("convolution"), ZPlus()),)))


def test_the_table_lists_layer_operator_and_rule() -> None:
    composite = Composite("mine", ((first_layer, Flat()), *EVERYWHERE.rules))
    assert program(Vgg(), composite).table == (
        ("0", "aten.conv2d.default", "Flat()"),
        ("3", "aten.conv2d.default", "ZPlus(bias=True)"),
        ("6", "aten.conv2d.default", "ZPlus(bias=True)"),
        ("8", "aten.adaptive_avg_pool2d.default", "Ratio()"),
        ("11", "aten.linear.default", "Epsilon(epsilon=1e-06)"),
    )
