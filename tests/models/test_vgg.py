import pytest
import torch

from relmask.models.zoo import classifier, trunk


@pytest.mark.parametrize(
    ("name", "parameters", "keys"),
    [  # counts and names that torchvision publishes for 1000 classes
        ("vgg11", 132_863_336, {"features.18.weight": (512, 512, 3, 3), "classifier.6.bias": (1000,)}),
        ("vgg11-bn", 132_868_840, {"features.26.running_var": (512,), "classifier.0.weight": (4096, 25088)}),
        ("vgg16", 138_357_544, {"features.28.weight": (512, 512, 3, 3), "classifier.3.weight": (4096, 4096)}),
        ("vgg16-bn", 138_365_992, {"features.41.bias": (512,), "classifier.6.weight": (1000, 4096)}),
    ],
)
def test_classifier_has_torchvisions_parameters_and_keys(
    name: str, parameters: int, keys: dict[str, tuple[int, ...]]
) -> None:
    with torch.device("meta"):
        network = classifier(name, 1000)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    state = network.state_dict()
    assert {key: tuple(state[key].shape) for key in keys} == keys


def test_taps_lie_before_the_pooling() -> None:
    network = trunk("vgg11")
    shapes = [tuple(tap.shape) for tap in network(torch.zeros(1, 3, 32, 48))]
    assert shapes == [(1, 256, 8, 12), (1, 512, 4, 6), (1, 512, 2, 3)]


def test_narrow_net_is_a_classifier_of_small_patches() -> None:
    assert classifier("vgg-narrow", 2)(torch.zeros(3, 3, 48, 40)).shape == (3, 2)
