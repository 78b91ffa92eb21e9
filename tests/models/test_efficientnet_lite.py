import pytest
import torch
from skimage import data
from torch.nn import functional

from relmask.models.efficientnet_lite import EfficientNetLite0, SameConv2d
from relmask.models.zoo import LITE0_WEIGHTS, classifier


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("side", [8, 9])
def test_same_padding_at_stride_2_is_tensorflows(kernel: int, side: int) -> None:
    layer = SameConv2d(1, 1, kernel, stride=2).double()
    x = torch.randn(1, 1, side, side, dtype=torch.float64)
    # TensorFlow: ceil(side / 2) outputs; what padding that needs is split, the larger half at the end.
    needed = (-(-side // 2) - 1) * 2 + kernel - side
    before, after = needed // 2, needed - needed // 2
    expected = functional.conv2d(functional.pad(x, (before, after, before, after)), layer.weight, stride=2)
    torch.testing.assert_close(layer(x), expected)


def test_packaged_weights_recognise_photographs() -> None:
    network = classifier("efficientnet-lite0", 1000, LITE0_WEIGHTS())
    for name, labels in (("chelsea", {281, 282, 285}), ("coffee", {967, 968})):
        image = torch.from_numpy(getattr(data, name)().copy()).permute(2, 0, 1)[None].float() / 255
        image = functional.interpolate(image, size=(224, 224), mode="bicubic", antialias=True)
        mean, std = (torch.tensor(value)[:, None, None] for value in (network.mean, network.std))
        with torch.inference_mode():
            assert int(network((image - mean) / std).argmax()) in labels


def test_default_taps_end_the_stages() -> None:
    network = EfficientNetLite0(classes=2)
    assert [network.channels[tap] for tap in (2, 4, 7, 10)] == [24, 40, 80, 112]
    assert [network.channels[tap + 1] for tap in (2, 4, 7, 10)] == [40, 80, 112, 192]
