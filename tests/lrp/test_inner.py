"""Relevance at inner layers, layer by layer, and of several targets."""

import math
import re
import warnings

import pytest
import torch
from torch import Tensor, nn

from relmask.errors import UsageError
from relmask.lrp import Contrast, Explainer, Target, compile, strongest
from relmask.lrp.neurons import Neuron
from tests.lrp.architectures import example, network
from tests.lrp.test_program import Convolutions


def explained(name: str, *, biases: bool = True) -> tuple[nn.Module, Tensor, Explainer]:
    model, images = network(name, biases=biases), example(name)
    return model, images, compile(model, images, "epsilon_plus", sizes=False)


def test_relevance_at_a_layer_is_what_the_rest_of_the_network_gives_its_input() -> None:
    model, images, explainer = explained("vgg")
    assert isinstance(model, nn.Sequential)
    for layer in range(4):
        inner = explainer.inner(images, str(layer), 1)[str(layer)]
        features = model[: layer + 1](images)
        _, expected = compile(model[layer + 1 :], features, "epsilon_plus", sizes=False)(features, 1)
        torch.testing.assert_close(inner, expected)


def test_several_layers_at_once_equal_each_alone() -> None:
    _, images, explainer = explained("u-net")
    names = ("down1", "up2", "join1.0", "head")
    together = explainer.inner(images, names, 2)
    assert tuple(together) == names
    assert together["down1"].shape == (3, 4, 16, 16)
    for name in names:
        torch.testing.assert_close(explainer.inner(images, name, 2)[name], together[name])
    logits, _ = explainer(images)
    torch.testing.assert_close(together["head"][:, 2], logits[:, 2])


def test_a_module_that_runs_twice_has_relevance_of_both_runs() -> None:
    _, images, explainer = explained("shared")
    inner = explainer.inner(images, ("conv", "conv@1"), 0)
    assert not torch.equal(inner["conv"], inner["conv@1"])


def test_a_folded_batch_norm_and_its_convolution_have_the_same_relevance() -> None:
    _, images, explainer = explained("resnet")
    inner = explainer.inner(images, ("2.conv1.0", "2.conv1.1"), 0)
    torch.testing.assert_close(inner["2.conv1.0"], inner["2.conv1.1"])


def test_layers_that_no_relevance_passes_are_refused() -> None:
    _, images, explainer = explained("efficientnet")
    with pytest.raises(UsageError, match=r"output of '1.squeeze.up', 'head'. It passes: 0.0, "):
        explainer.inner(images, ("1.squeeze.up", "1.project", "head"))


def test_relevance_at_an_early_layer_costs_no_walk_to_the_pixels() -> None:
    _, images, explainer = explained("vgg")
    counts = []
    for name in ("5", "0"):
        counted = Convolutions()  # type: ignore[no-untyped-call]
        with counted, torch.inference_mode():
            explainer.inner(images, name)
        counts.append(counted.count)
    assert counts == [2, 2 + 2]  # forwards twice; z+ and its way back through the second convolution


def test_the_strongest_neurons_and_channels_are_listed() -> None:
    _, images, explainer = explained("resnet")
    relevance = explainer.inner(images, "1", 0)["1"]
    neurons = strongest(relevance, 5, channels=None)
    for image, listed in zip(relevance, neurons, strict=True):
        values = [neuron.relevance for neuron in listed]
        assert values == sorted(image.flatten().tolist(), reverse=True)[:5]
        assert [float(image[neuron.index]) for neuron in listed] == values
    tokens = torch.tensor([[[1.0, -2.0, 3.0], [1.0, 4.0, -3.0]]])
    assert strongest(tokens, 2, channels=-1) == [[Neuron((0,), 2.0), Neuron((1,), 2.0)]]
    assert strongest(torch.tensor([[1.0, 5.0]]), 9) == [[Neuron((1,), 5.0), Neuron((0,), 1.0)]]
    assert strongest(relevance[:0]) == []
    assert strongest(relevance, 0) == [[]] * len(relevance)


@pytest.mark.parametrize(
    ("relevance", "count", "channels", "reason"),
    [
        (torch.rand(3), 1, None, "two axes or more"),
        ([[1.0, 2.0]], 1, None, "two axes or more"),
        (torch.rand(2, 3, 4), -1, 1, "negative, got -1"),
        (torch.rand(2, 3, 4), 1, 3, r"\(2, 3, 4\) has no axis 3"),
        (torch.rand(2, 3, 4), 1, 0, "no axis 0"),
        (torch.rand(2, 3, 4), 1, -3, "no axis -3"),
    ],
)
def test_neurons_that_cannot_be_listed_are_refused(
    relevance: Tensor, count: int, channels: int | None, reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        strongest(relevance, count, channels=channels)


@pytest.mark.parametrize("name", ["resnet", "efficientnet", "vision transformer", "u-net"])
def test_the_ledger_accounts_for_all_that_is_lost(name: str) -> None:
    _, images, explainer = explained(name)
    ledger = explainer.ledger(images, 1)
    logits, relevance = explainer(images, 1)
    share = float(relevance.sum() / logits[:, 1].sum())
    assert ledger.conserved == pytest.approx(share)
    assert sum(entry.lost for entry in ledger.entries) == pytest.approx(1 - share)
    for entry in ledger.entries:
        absorbs = any(word in entry.operator for word in ("conv", "linear", "softmax", "cat"))
        assert absorbs or entry.lost == pytest.approx(0, abs=1e-3), entry


def test_without_biases_only_softmax_and_a_constant_token_keep_relevance() -> None:
    _, images, explainer = explained("vision transformer", biases=False)
    for entry in explainer.ledger(images, 0).entries:
        assert entry.operator in ("aten.softmax.int", "aten.cat.default") or entry.lost == pytest.approx(
            0, abs=1e-2
        ), entry


def test_the_ledger_prints_as_a_table() -> None:
    _, images, explainer = explained("vgg")
    table = str(explainer.ledger(images, 1))
    lines = [re.split("  +", line) for line in table.splitlines()]
    assert lines[0] == ["layer", "operator", "rule", "arrived", "passed", "lost"]
    assert [line[0] for line in lines[1:]] == ["0.0", "2.0", "5", "8", "all"]
    assert lines[1][1:3] == ["aten.conv2d.default", "ZPlus(bias=True)"]
    assert lines[-2][3] == lines[-1][1] == "100.0 %"
    nothing = explainer.ledger(images, torch.zeros(3, 3, dtype=torch.float64))
    assert math.isnan(nothing.conserved)


@pytest.mark.parametrize(
    "name", ["vgg", "mobilenet v3", "inception", "u-net", "vision transformer", "volume"]
)
def test_many_targets_share_one_forward_pass(name: str) -> None:
    _, images, explainer = explained(name)
    targets: list[Target] = [0, torch.tensor([2, 0, 1]), Contrast(1), None]
    counted = Convolutions()  # type: ignore[no-untyped-call]
    with counted, torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("error")  # torch.vmap says where it falls back to a loop
        logits, relevance = explainer.each(images, targets)
    for target, got in zip(targets, relevance, strict=True):
        alone = Convolutions()  # type: ignore[no-untyped-call]
        with alone, torch.inference_mode():
            torch.testing.assert_close(got, explainer(images, target)[1])
        assert counted.count == alone.count
    torch.testing.assert_close(logits, explainer(images)[0])


@pytest.mark.parametrize("targets", [[], 1, None, ["crack"], [0, 9]], ids=str)
def test_targets_that_cannot_be_explained_together_are_refused(targets: list[Target]) -> None:
    _, images, explainer = explained("vgg")
    with pytest.raises(UsageError, match=r"one target or more|target is a class|numbered 0 to 2"):
        explainer.each(images, targets)


def test_stopping_early_is_the_same_for_one_target_and_for_many() -> None:
    model, images, _ = explained("resnet")
    stopped = compile(model, images, "epsilon_plus", sizes=False, stop="1")
    logits, relevance = stopped.each(images, [0, Contrast(2)])
    for target, got in zip((0, Contrast(2)), relevance, strict=True):
        torch.testing.assert_close(got, stopped(images, target)[1])
    torch.testing.assert_close(logits, stopped(images)[0])


def test_stopping_early_ends_the_ledger_where_relevance_ends() -> None:
    model, images, whole = explained("vgg")
    stopped = compile(model, images, "epsilon_plus", sizes=False, stop="3")
    ledger = stopped.ledger(images, 1)
    logits, relevance = stopped(images, 1)
    assert ledger.conserved == pytest.approx(float(relevance.sum() / logits[:, 1].sum()))
    entries = whole.ledger(images, 1).entries
    assert ledger.entries == entries[-len(ledger.entries) :]
    assert "0.0" in {entry.layer for entry in entries} - {entry.layer for entry in ledger.entries}


def test_stopping_early_interpolates_what_arrived_to_the_pixels() -> None:
    model, images, _ = explained("resnet")
    stopped = compile(model, images, "epsilon_plus", sizes=False, stop="1")
    _, relevance = stopped(images, 0)
    inner = stopped.inner(images, "1", 0)["1"]
    assert relevance.shape == images.shape
    torch.testing.assert_close(relevance.sum((1, 2, 3)), inner.sum((1, 2, 3)))
    pooled = nn.functional.avg_pool2d(relevance.sum(1), 4)
    assert torch.corrcoef(torch.stack((pooled.flatten(), inner.sum(1).flatten())))[0, 1] > 0.9
    with pytest.raises(UsageError, match="output of '9'"):
        compile(model, images, "epsilon_plus", sizes=False, stop="9")
    with pytest.raises(UsageError, match="no locations"):
        compile(model, images, "epsilon_plus", sizes=False, stop="5")(images)
