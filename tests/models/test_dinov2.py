from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from relmask.errors import RunError, UsageError
from relmask.models.dinov2 import DinoV2, translate
from relmask.models.trunk import Trunk
from relmask.models.zoo import find, trunk
from tests.models.functional_dinov2 import FunctionalDinoV2, Weights, in_metas_naming, random_weights

WIDTH, HEADS, DEPTH = 24, 3, 3


def as_they_are(weights: Weights) -> Weights:
    return weights


def of_a_classifier(weights: Weights) -> Weights:
    return {f"dinov2.{name}": value for name, value in weights.items()}


@pytest.mark.parametrize("naming", [as_they_are, of_a_classifier, in_metas_naming])
@pytest.mark.parametrize("size", [(518, 518), (56, 84)])
def test_taps_are_the_patches_of_an_independent_implementation(
    naming: Callable[[Weights], Weights], size: tuple[int, int]
) -> None:
    weights, images = random_weights(WIDTH, DEPTH), torch.randn(2, 3, *size, dtype=torch.float64)
    network = DinoV2(deepest=DEPTH - 1, width=WIDTH, heads=HEADS, depth=DEPTH).double()
    network.load_state_dict(translate(naming(weights)))
    expected = FunctionalDinoV2(weights, HEADS).layers(images)
    grid = size[0] // 14, size[1] // 14
    for tap, layer in zip(Trunk(network, (1, 2))(images), (1, 2), strict=True):
        patches = expected[layer][:, 1:].reshape(2, *grid, WIDTH).permute(0, 3, 1, 2)
        torch.testing.assert_close(tap, patches, rtol=1e-9, atol=1e-9)


def test_logits_are_those_of_an_independent_implementation() -> None:
    weights, images = random_weights(WIDTH, DEPTH, 5), torch.randn(2, 3, 42, 28, dtype=torch.float64)
    network = DinoV2(5, width=WIDTH, heads=HEADS, depth=DEPTH).double()
    network.load_state_dict(translate(weights))
    expected = FunctionalDinoV2(weights, HEADS).logits(images)
    torch.testing.assert_close(network(images), expected, rtol=1e-9, atol=1e-9)


def test_own_names_stay_as_they_are() -> None:
    state = DinoV2(3, width=WIDTH, heads=HEADS, depth=1).state_dict()
    assert translate(state).keys() == state.keys()


@pytest.mark.parametrize("naming", [as_they_are, in_metas_naming])
def test_the_zoo_takes_files_in_both_namings(tmp_path: Path, naming: Callable[[Weights], Weights]) -> None:
    weights = {name: value.float() for name, value in random_weights(384, 12).items()}
    save_file(naming(weights), tmp_path / "weights.safetensors")
    network = trunk("dinov2-small", tmp_path / "weights.safetensors")
    last = network.backbone.get_parameter("blocks.11.attention.value.weight")
    assert torch.equal(last, weights["encoder.layer.11.attention.attention.value.weight"])


def test_another_size_of_the_network_is_refused_by_name(tmp_path: Path) -> None:
    save_file(random_weights(48, 1), tmp_path / "weights.safetensors")
    with pytest.raises(RunError, match=r"missing blocks\.1\.scale1"):
        trunk("dinov2-small", tmp_path / "weights.safetensors")


@pytest.mark.parametrize("size", [(56, 57), (60, 56)])
def test_a_side_that_holds_no_whole_patches_is_refused(size: tuple[int, int]) -> None:
    network = DinoV2(2, width=WIDTH, heads=HEADS, depth=1)
    with pytest.raises(UsageError, match=rf"{size[0]} x {size[1]} px .* multiples of 14, like 448"):
        network(torch.zeros(1, 3, *size))


def test_it_taps_layers_nine_and_twelve() -> None:
    assert find("dinov2-small").taps == (9 - 1, 12 - 1)
