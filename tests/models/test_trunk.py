import pytest
import torch
from torch.export import Dim, export

from relmask.models.trunk import Trunk
from relmask.models.zoo import ZOO, find, trunk


@pytest.mark.parametrize("name", ZOO)
def test_channels_and_strides_are_those_of_the_outputs(name: str) -> None:
    network = trunk(name, pretrained=False)
    height, width = (56, 84) if name == "dinov2-small" else (64, 96)
    taps = network(torch.zeros(1, 3, height, width))
    assert [tap.shape[1] for tap in taps] == list(network.channels)
    assert [(height // tap.shape[2], width // tap.shape[3]) for tap in taps] == [
        (side, side) for side in network.strides
    ]


@pytest.mark.parametrize("name", ["efficientnet-lite0", "vgg-narrow", "resnet18"])
def test_nothing_deeper_than_the_last_tap_is_built(name: str) -> None:
    short = trunk(name, pretrained=False, taps=(1,))
    longer = trunk(name, pretrained=False, taps=(1, 2))
    assert len(short.state_dict()) < len(longer.state_dict())
    assert set(short.state_dict()) < set(longer.state_dict())


@pytest.mark.parametrize("name", ["efficientnet-lite0", "vgg-narrow", "resnet18"])
def test_a_tap_does_not_depend_on_the_others(name: str) -> None:
    deep = trunk(name, pretrained=False, taps=(1, 2))
    shallow = trunk(name, pretrained=False, taps=(1,))
    shallow.load_state_dict({key: deep.state_dict()[key] for key in shallow.state_dict()})
    images = torch.randn(2, 3, 33, 40)
    torch.testing.assert_close(shallow(images)[0], deep(images)[0])


@pytest.mark.parametrize("taps", [(), (2, 1), (1, 1), (-1,), (0, 99)])
def test_taps_that_are_no_rising_block_indices_are_refused(taps: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="rising indices"):
        Trunk(find("vgg-narrow").build(), taps)


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")  # inside torch.export
@pytest.mark.parametrize("name", ["efficientnet-lite0", "vgg-narrow", "resnet18"])
def test_exports_with_any_batch_height_and_width(name: str) -> None:
    network = trunk(name, pretrained=False, taps=(0, 2))
    sizes = {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    program = export(network, (torch.randn(2, 3, 64, 48),), dynamic_shapes=(sizes,)).run_decompositions({})
    images = torch.randn(3, 3, 37, 50)
    for exported, eager in zip(program.module()(images), network(images), strict=True):
        torch.testing.assert_close(exported, eager)
