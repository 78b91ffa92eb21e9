import copy
import io
import pickle
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from relmask.errors import UnsupportedModel, UnsupportedOperator, UsageError
from relmask.lrp import (
    AlphaBeta,
    Composite,
    Contrast,
    Explainer,
    Flat,
    ZPlus,
    compile,
    composites,
    first_layer,
    kind,
    module,
)
from relmask.lrp.operators import OPERATORS


class Network(nn.Module):
    """Convolutions, batch norm with statistics, a residual, dropout, a linear head."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.body = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU())
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(6, classes)
        norm = self.body[1]
        assert isinstance(norm, nn.BatchNorm2d)
        norm.running_mean, norm.running_var = torch.randn(6) * 0.1, torch.rand(6) + 0.5

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        logits: Tensor = self.head(self.dropout((x + self.body(x)).mean((2, 3))))
        return logits


@pytest.fixture(scope="module")
def model() -> Network:
    torch.manual_seed(1)
    return Network().eval()


@pytest.fixture(scope="module")
def explainer(model: Network) -> Explainer:
    return compile(model, torch.rand(2, 3, 12, 10), "epsilon_plus")


@pytest.fixture
def images() -> Tensor:
    return torch.rand(4, 3, 12, 10)


def test_logits_are_the_models_and_relevance_has_the_shape_of_the_images(
    model: Network, explainer: Explainer, images: Tensor
) -> None:
    logits, relevance = explainer(images)
    torch.testing.assert_close(logits, model(images))
    assert relevance.shape == images.shape
    assert relevance.isfinite().all()


def test_one_image_alone_equals_the_same_image_in_a_batch(explainer: Explainer, images: Tensor) -> None:
    logits, relevance = explainer(images, 1)
    for i in range(len(images)):
        alone = explainer(images[i : i + 1], 1)
        torch.testing.assert_close(alone[0], logits[i : i + 1])
        torch.testing.assert_close(alone[1], relevance[i : i + 1])
    assert len(explainer.programs) == 1


def test_other_sizes_need_no_other_program(model: Network, explainer: Explainer) -> None:
    images = torch.rand(3, 3, 17, 23)
    torch.testing.assert_close(explainer(images)[0], model(images))
    assert len(explainer.programs) == 1


def test_targets_choose_what_is_explained(explainer: Explainer, images: Tensor) -> None:
    logits, predicted = explainer(images)
    classes = logits.argmax(1)
    torch.testing.assert_close(explainer(images, classes)[1], predicted)
    each = torch.stack([explainer(images, k)[1] for k in range(3)])
    chosen = each[classes, torch.arange(4)]
    torch.testing.assert_close(chosen, predicted)
    torch.testing.assert_close(explainer(images, Contrast(0, 2))[1], each[0] - each[2])
    torch.testing.assert_close(explainer(images, Contrast(0))[1], each[0] - (each[1] + each[2]) / 2)
    start = F.one_hot(classes, 3) * logits
    torch.testing.assert_close(explainer(images, start)[1], predicted)
    with pytest.raises(UsageError, match="numbered 0 to 2"):
        explainer(images, 3)


@pytest.mark.parametrize("share", [0.0, 0.4], ids=["all", "where biases absorb some"])
def test_relevance_is_conserved_and_what_biases_absorb_is_known(share: float, images: Tensor) -> None:
    network = Network()
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.constant_(parameter, share * 0.2)
    network.body[1].running_mean = torch.zeros(6)
    explained = compile(network, images, "epsilon_plus").explain(images, 0)
    arrived = explained.relevance.sum((1, 2, 3)) / explained.logits[:, 0]
    torch.testing.assert_close(explained.conserved, arrived, rtol=1e-4, atol=1e-4)
    if share:
        assert (explained.conserved < 0.999).all()
    else:
        torch.testing.assert_close(explained.conserved, torch.ones(4), rtol=1e-3, atol=1e-3)


def test_a_share_far_from_one_warns() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    nn.init.constant_(network[0].bias, 100.0)  # type: ignore[arg-type]
    images = torch.rand(2, 3, 4, 4)
    explainer = compile(network, images)
    with pytest.warns(UserWarning, match=r"conserved share of 2 of 2 images lies outside 0\.5 to 1\.5"):
        share = explainer.conserved(images, 0)
    assert (share < 0.1).all()
    explainer(images, 0)


def test_a_contrast_that_cancels_has_no_share_and_does_not_warn(explainer: Explainer, images: Tensor) -> None:
    assert explainer.conserved(images, torch.zeros(4, 3)).isnan().all()


def state(network: nn.Module) -> Iterator[object]:
    for name, value in network.state_dict(keep_vars=True).items():
        yield name, value, value.requires_grad, value.clone(), value.grad
    for name, part in network.named_modules():
        yield name, part.training, sorted(vars(part)), len(part._forward_hooks), len(part._backward_hooks)


def unchanged(before: list[object], network: nn.Module) -> bool:
    def same(a: object, b: object) -> bool:
        if isinstance(a, Tensor) and isinstance(b, Tensor):
            return torch.equal(a, b)
        return all(map(same, a, b)) if isinstance(a, tuple) and isinstance(b, tuple) else a == b

    return all(map(same, before, state(network)))


@pytest.mark.parametrize("works", [True, False], ids=["works", "raises"])
def test_the_model_is_untouched(works: bool) -> None:
    network = Network() if works else nn.Sequential(Network(), nn.Softmax(1))
    network.train()
    next(network.parameters()).requires_grad_(False)
    network.register_forward_hook(lambda module, inputs, output: None)
    network.modules().__next__().eval()
    next(iter(network.children())).train()
    before = list(state(network))
    images = torch.rand(2, 3, 8, 8)
    if works:
        compile(network, images)(images)
    else:
        with pytest.raises(UnsupportedModel):
            compile(network, images)
    assert unchanged(before, network)


def test_the_explainer_keeps_its_weights_when_the_model_trains_on(images: Tensor) -> None:
    network = Network().eval()
    explainer = compile(network, images)
    before = explainer(images, 0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2)
    for known, now in zip(before, explainer(images, 0), strict=True):
        torch.testing.assert_close(now, known)


def test_frozen_parameters_and_inference_mode_are_no_obstacle(model: Network, images: Tensor) -> None:
    frozen = copy.deepcopy(model).requires_grad_(False)
    with torch.inference_mode():
        explainer = compile(frozen, images, "epsilon_plus")
        inside = explainer(images)
    outside = explainer(images.requires_grad_())
    torch.testing.assert_close(inside, outside)
    assert not outside[1].requires_grad


def test_float64_is_explained_in_float64(model: Network, explainer: Explainer, images: Tensor) -> None:
    doubled = compile(copy.deepcopy(model).double(), images.double(), "epsilon_plus")
    logits, relevance = doubled(images.double())
    assert logits.dtype == relevance.dtype == torch.float64
    torch.testing.assert_close(relevance, explainer(images)[1].double(), rtol=1e-3, atol=1e-6)
    converted = copy.deepcopy(explainer).double()
    torch.testing.assert_close(converted(images.double())[1], relevance, rtol=1e-3, atol=1e-6)


def test_memory_layout_does_not_matter(explainer: Explainer, images: Tensor) -> None:
    relevance = explainer(images)[1]
    other = explainer(images.contiguous(memory_format=torch.channels_last))[1]
    torch.testing.assert_close(other, relevance)


@pytest.mark.parametrize("composite", ["relmask", "epsilon_plus", "epsilon_alpha2_beta1_flat"])
def test_a_classifier_with_one_logit_works(composite: str, images: Tensor) -> None:
    network = Network(classes=1).eval()
    explainer = compile(network, images, composite)
    logits, relevance = explainer(images)
    assert logits.shape == (4, 1)
    torch.testing.assert_close(relevance, explainer(images, 0)[1])


def saved_and_loaded(explainer: Explainer) -> Explainer:
    file = io.BytesIO()
    torch.save(explainer, file)
    file.seek(0)
    loaded: Explainer = torch.load(file, weights_only=False)
    return loaded


@pytest.mark.parametrize(
    "copied",
    [lambda made: pickle.loads(pickle.dumps(made)), saved_and_loaded, copy.deepcopy],
    ids=["pickled", "saved", "copied"],
)
def test_an_explainer_can_be_kept(
    explainer: Explainer, images: Tensor, copied: Callable[[Explainer], Explainer]
) -> None:
    other = copied(explainer)
    for got, wanted in zip(other(images, 1), explainer(images, 1), strict=True):
        assert torch.equal(got, wanted)
    assert str(other) == str(explainer)
    assert other.double()(images.double(), 1)[1].dtype == torch.float64, "its parts are one module still"
    assert explainer(images, 1)[1].dtype == torch.float32


def test_a_kept_explainer_compiles_other_sizes(model: Network) -> None:
    fixed = compile(model, torch.rand(2, 3, 8, 8), sizes=False)
    images = torch.rand(2, 3, 9, 9)
    torch.testing.assert_close(pickle.loads(pickle.dumps(fixed))(images, 1), fixed(images, 1))


def test_loading_an_explainer_wants_the_rules_that_it_was_made_with(
    images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    relu = torch.ops.aten.relu.default
    kept = pickle.dumps(compile(Network(), images))
    monkeypatch.delitem(OPERATORS, relu)
    with pytest.raises(UnsupportedOperator, match=r"rule for aten.relu.default. Add it with"):
        pickle.loads(kept)


class Sized(nn.Module):
    """A model that one size fits: its linear layer counts places."""

    def __init__(self, height: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3, padding=1)
        self.positions = nn.ParameterList(nn.Parameter(torch.randn(2, side, side)) for side in range(height))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = F.relu(self.conv(x)) + self.positions[x.shape[2]]
        return y.mean((2, 3))


def test_a_size_the_graph_does_not_fit_is_compiled_and_kept() -> None:
    network = Sized(9)
    explainer = compile(network, torch.rand(1, 3, 8, 8))
    for side in (8, 7, 8, 7, 6, 5, 4, 3, 8):
        images = torch.rand(3, 3, side, side)
        logits, relevance = explainer(images)
        torch.testing.assert_close(logits, network(images))
        assert relevance.shape == images.shape
    assert len(explainer.programs) == 4


def test_a_single_example_stands_for_any_number(model: Network) -> None:
    explainer = compile(model, torch.rand(1, 3, 8, 8))
    assert explainer(torch.rand(5, 3, 8, 8))[1].shape == (5, 3, 8, 8)
    assert len(explainer.programs) == 1


def test_composites_reach_modules_by_path(model: Network, images: Tensor) -> None:
    early = Composite("early", ((module("stem"), AlphaBeta(2, 1)),))
    explainer = compile(model, images, early + composites.epsilon_plus())
    rows = [line.split() for line in explainer.table.splitlines()]
    assert rows[0] == ["layer", "operator", "rule"]
    assert ["stem", "aten.conv2d.default", "AlphaBeta(alpha=2,", "beta=1,", "bias=True)"] in rows
    assert ["body.0", "aten.conv2d.default", "ZPlus(bias=True)"] in rows
    assert ["(model)", "aten.add.Tensor", "Ratio()"] in rows
    assert str(explainer) == f"Explainer(early+epsilon_plus)\n{explainer.table}"


def test_a_first_layer_rule_reaches_the_first_layer_alone(model: Network, images: Tensor) -> None:
    composite = Composite("flat", ((first_layer, Flat()), (kind("convolution"), ZPlus())))
    with pytest.raises(UsageError, match="head"):
        compile(model, images, composite)
    explainer = compile(model, images, composite + composites.epsilon_plus())
    assert [row.split()[2] for row in explainer.table.splitlines() if "conv" in row] == [
        "Flat()",
        "ZPlus(bias=True)",
    ]


def test_errors_name_the_model_and_what_to_do(images: Tensor) -> None:
    class Erf(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.erf().mean((2, 3))

    with pytest.raises(
        UnsupportedOperator,
        match=r"\(model\): aten.erf.default\n.*test_compiler.py:\d+: return x.erf\(\).mean\(\(2, 3\)\)\n"
        r"Add them with relmask.lrp.register: docs/how-to/operator.md",
    ):
        compile(Erf(), images)
    with pytest.raises(UsageError, match="No composite named 'lrp'"):
        compile(Erf(), images, "lrp")
    with pytest.raises(UsageError, match=r"Composite or one of the names .*; got ZPlus\(bias=True\)"):
        compile(Erf(), images, ZPlus())  # type: ignore[arg-type]


class Several(nn.Module):
    """A model with more than one output."""

    def __init__(self, returned: Callable[[Tensor, Tensor], object]) -> None:
        super().__init__()
        self.network, self.returned = Network(), returned

    def forward(self, x: Tensor) -> object:
        return self.returned(self.network(x), self.network(-x))


@pytest.mark.parametrize(
    ("returned", "output"),
    [
        (lambda a, b: (b, a), 1),
        (lambda a, b: [b, a], -1),
        (lambda a, b: {"other": b, "logits": a}, "logits"),
        (lambda a, b: a, None),
    ],
    ids=["tuple", "list", "dictionary", "one"],
)
def test_one_of_several_outputs_is_explained(
    returned: Callable[[Tensor, Tensor], object], output: int | str | None, images: Tensor
) -> None:
    model = Several(returned).eval()
    explainer = compile(model, images, output=output, sizes=False)
    for got, wanted in zip(explainer(images, 1), compile(model.network, images)(images, 1), strict=True):
        torch.testing.assert_close(got, wanted)
    assert explainer(torch.rand(2, 3, 9, 9), 1)[1].shape == (2, 3, 9, 9)


def test_of_several_outputs_one_must_be_chosen(images: Tensor) -> None:
    model = Several(lambda a, b: {"other": b, "logits": a})
    with pytest.raises(UnsupportedModel, match="2 outputs: choose output='other' or 'logits'"):
        compile(model, images)
    with pytest.raises(UsageError, match="no output 'logit'; it returns 2 outputs: choose output='other' or"):
        compile(model, images, output="logit")
    with pytest.raises(UsageError, match="no output 2; it returns 2 outputs: choose output=0 to 1"):
        compile(Several(lambda a, b: (a, b)), images, output=2)
    with pytest.raises(UsageError, match="no output 0; it returns one tensor"):
        compile(Network(), images, output=0)


def test_a_model_that_returns_one_number_per_image_has_one_logit(images: Tensor) -> None:
    class Squeezed(Network):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).squeeze(1)

    model = Squeezed(classes=1).eval()
    logits, relevance = compile(model, images, "epsilon_plus")(images)
    torch.testing.assert_close(logits, model(images)[:, None])
    assert relevance.shape == images.shape


def test_the_explainer_can_be_exported_again(explainer: Explainer, images: Tensor) -> None:
    sizes = {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    program = torch.export.export(explainer, (images,), dynamic_shapes=(sizes,))
    other = torch.rand(3, 3, 15, 16)
    torch.testing.assert_close(program.module()(other), explainer(other))


def test_a_size_that_was_not_left_open_is_compiled_when_it_is_met() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    fixed, open_ = (compile(model, torch.rand(2, 3, 8, 8), sizes=sizes) for sizes in (False, True))
    for size, programs in ((8, 1), (10, 2)):
        images = torch.rand(3, 3, size, size)
        torch.testing.assert_close(fixed(images, 1), open_(images, 1))
        assert (len(fixed.programs), len(open_.programs)) == (programs, 1)
