import pytest
import torch

from relmask.models.zoo import classifier, trunk


@pytest.mark.parametrize(
    ("name", "parameters", "keys"),
    [  # counts and names that torchvision publishes for 1000 classes
        ("resnet18", 11_689_512, {"layer2.0.downsample.0.weight": (128, 64, 1, 1), "fc.weight": (1000, 512)}),
        ("resnet34", 21_797_672, {"layer3.5.bn2.running_mean": (256,), "conv1.weight": (64, 3, 7, 7)}),
        (
            "resnet50",
            25_557_032,
            {"layer1.0.downsample.1.bias": (256,), "layer4.2.conv3.weight": (2048, 512, 1, 1)},
        ),
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
    if name != "resnet50":
        assert not any(key.startswith("layer1.0.downsample") for key in state)


@pytest.mark.parametrize(("name", "channels"), [("resnet18", (64, 128, 256)), ("resnet50", (256, 512, 1024))])
def test_taps_follow_the_strides(name: str, channels: tuple[int, ...]) -> None:
    network = trunk(name)
    shapes = [tuple(tap.shape[1:]) for tap in network(torch.zeros(1, 3, 64, 32))]
    assert shapes == [
        (width, 64 // stride, 32 // stride) for width, stride in zip(channels, (4, 8, 16), strict=True)
    ]
