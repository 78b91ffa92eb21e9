import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.fx import Node
from torch.nn import functional as F

from relmask.lrp import compile
from relmask.lrp.graph import Captured, capture
from relmask.lrp.rewrites import NORMS, PADS, POOLS


def targets(captured: Captured) -> list[str]:
    return [str(node.target) for node in captured.graph.nodes if node.op == "call_function"]


def norm(layer: nn.Module) -> nn.Module:
    """A batch norm with statistics of its own."""
    assert isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)
    layer.running_mean = torch.randn(layer.num_features)
    layer.running_var = torch.rand(layer.num_features) + 0.5
    if layer.affine:
        nn.init.normal_(layer.weight)
        nn.init.normal_(layer.bias)
    return layer


def computed(captured: Captured, images: Tensor) -> Tensor:
    """What the graph gives."""
    values: dict[Node, Tensor] = {**captured.constants, captured.image: images}
    for node in captured.graph.nodes:
        if node.op == "call_function":
            pads = node.kwargs.get("pads")
            args, kwargs = torch.fx.map_arg(
                (node.args, {name: value for name, value in node.kwargs.items() if name != "pads"}),
                values.__getitem__,
            )
            if pads:
                args = (F.pad(args[0], pads), *args[1:])
            values[node] = node.target(*args, **kwargs)
    logits: Tensor = values[captured.logits]
    return logits


FOLDED = {
    "convolution": nn.Sequential(nn.Conv2d(3, 4, 3), norm(nn.BatchNorm2d(4, eps=1e-2)), nn.Flatten()),
    "without bias": nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), norm(nn.BatchNorm2d(4)), nn.Flatten()),
    "grouped": nn.Sequential(nn.Conv2d(3, 6, 3, groups=3), norm(nn.BatchNorm2d(6)), nn.Flatten()),
    "without affine": nn.Sequential(nn.Conv2d(3, 4, 3), norm(nn.BatchNorm2d(4, affine=False)), nn.Flatten()),
    "transposed": nn.Sequential(nn.ConvTranspose2d(3, 4, 3, 2), norm(nn.BatchNorm2d(4)), nn.Flatten()),
    "transposed, grouped": nn.Sequential(
        nn.ConvTranspose2d(3, 6, 3, groups=3, bias=False), norm(nn.BatchNorm2d(6)), nn.Flatten()
    ),
    "linear": nn.Sequential(nn.Flatten(), nn.Linear(192, 5), norm(nn.BatchNorm1d(5))),
}


@pytest.mark.parametrize("model", FOLDED.values(), ids=FOLDED)
def test_batch_norm_folds_into_the_layer_before_it(model: nn.Module) -> None:
    images = torch.randn(2, 3, 8, 8)
    captured = capture(model.eval(), images, ())
    assert not NORMS.intersection(node.target for node in captured.graph.nodes)
    assert len(targets(captured)) == 2
    torch.testing.assert_close(computed(captured, images), model(images), rtol=1e-4, atol=1e-5)


class Shared(nn.Module):
    """A convolution whose output others see before the norm, and one that runs twice with two norms."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.norms = nn.ModuleList(norm(nn.BatchNorm2d(3)) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        seen = self.conv(x)
        x = seen + self.norms[0](seen)
        for layer in list(self.norms)[1:]:
            x = layer(self.conv(x))
        return x.flatten(1)


def test_a_layer_that_others_use_is_not_folded_and_a_shared_one_is_folded_twice() -> None:
    model, images = Shared().eval(), torch.randn(2, 3, 4, 4)
    captured = capture(model, images, ())
    kinds = ["conv2d", "mul", "add", "add", "conv2d", "conv2d", "flatten"]
    assert [target.split(".")[1] for target in targets(captured)] == kinds
    torch.testing.assert_close(computed(captured, images), model(images), rtol=1e-4, atol=1e-5)


class Padded(nn.Module):
    """A convolution behind a padding."""

    def __init__(self, *pad: int, mode: str = "constant", value: float | None = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.pad, self.mode, self.value = pad, mode, value

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(F.pad(x, self.pad, self.mode, self.value))
        return y.flatten(1)


@pytest.mark.parametrize(
    ("model", "absorbed"),
    [
        (Padded(0, 1, 2, 1), True),
        (Padded(1, 1), True),
        (Padded(1, 1, value=0.0), True),
        (Padded(1, 1, value=1.0), False),
        (Padded(-1, 1, 0, 0), False),
        (Padded(1, 1, 1, 1, mode="reflect"), False),
    ],
    ids=["two axes", "one axis", "zeros", "ones", "cropped", "mirrored"],
)
def test_a_convolution_absorbs_zero_padding(model: nn.Module, absorbed: bool) -> None:
    images = torch.randn(2, 3, 6, 7)
    captured = capture(model, images, ())
    assert bool(PADS.intersection(node.target for node in captured.graph.nodes)) != absorbed
    torch.testing.assert_close(computed(captured, images), model(images))


@pytest.mark.parametrize("kernel", [1, 3, 4])
@pytest.mark.parametrize("dilation", [1, 2])
def test_named_padding_becomes_numbers(kernel: int, dilation: int) -> None:
    images = torch.randn(2, 3, 9, 8)
    for padding in ("same", "valid"):
        layer = nn.Conv2d(3, 4, kernel, padding=padding, dilation=(dilation, 1))
        model = nn.Sequential(layer, nn.Flatten())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch copies the input of even kernels, and says so
            expected = model(images)
            captured = capture(model, images, ())
        assert targets(captured)[0] == "aten.conv2d.default"
        torch.testing.assert_close(computed(captured, images), expected)


class Multiplied(nn.Module):
    """A linear layer in the functional style."""

    def __init__(self, function: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.weight, self.bias = nn.Parameter(torch.randn(4, 5)), nn.Parameter(torch.randn(5))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self.weight, self.bias)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, w, b: x @ w,
        lambda x, w, b: torch.mm(x, w) + b,
        lambda x, w, b: torch.addmm(b, x, w),
    ],
    ids=["matmul", "mm", "addmm"],
)
def test_products_with_a_constant_matrix_become_linear_layers(
    function: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> None:
    images, model = torch.randn(3, 4), Multiplied(function)
    explainer = compile(model, images, "epsilon_plus")
    assert "aten.linear.default" in explainer.table
    torch.testing.assert_close(explainer(images)[0], model(images))


class Normalised(nn.Module):
    """Weights that are computed from parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.direction = nn.Parameter(torch.randn(4, 3, 1, 1))
        self.length = nn.Parameter(torch.rand(4, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        weight = self.length * self.direction / self.direction.square().sum((1, 2, 3), keepdim=True).sqrt()
        return F.conv2d(x, weight).flatten(1)


def test_what_depends_on_parameters_alone_is_computed_once() -> None:
    images = torch.randn(2, 3, 4, 4)
    model = Normalised()
    captured = capture(model, images, ())
    assert targets(captured) == ["aten.conv2d.default", "aten.flatten.using_ints"]
    torch.testing.assert_close(computed(captured, images), model(images))


def test_max_pooling_keeps_its_indices_and_dead_code_goes() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            x.exp()
            return F.max_pool2d(x, 2).flatten(1)

    captured = capture(Model(), torch.randn(2, 3, 4, 4), ())
    assert not POOLS.keys() & {node.target for node in captured.graph.nodes}
    assert targets(captured)[0] == "aten.max_pool2d_with_indices.default"
    assert len(targets(captured)) == 3
