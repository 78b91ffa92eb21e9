import pytest
import torch

from relmask.models.unet import image_logits, levels, unet
from relmask.models.zoo import ZOO, find


@pytest.mark.parametrize("name", ["efficientnet-lite0", "vgg-narrow", "resnet18"])
@pytest.mark.parametrize("side", [64, 75])
def test_every_pixel_gets_a_logit_of_every_class(name: str, side: int) -> None:
    network = unet(name, 3, pretrained=False).eval()
    assert network(torch.rand(2, 3, side, side)).shape == (2, 3, side, side)


@pytest.mark.parametrize("name", list(ZOO))
def test_the_encoder_is_tapped_once_a_stride_as_deep_as_it_goes(name: str) -> None:
    with torch.device("meta"):
        backbone = find(name).build()
    taps = levels(backbone)
    strides = [backbone.strides[tap] for tap in taps]
    assert strides == sorted(set(backbone.strides))
    assert taps[-1] == len(backbone.strides) - 1


def test_a_packaged_encoder_comes_with_its_weights() -> None:
    torch.manual_seed(0)
    one = unet("efficientnet-lite0", 1)
    torch.manual_seed(1)
    other = unet("efficientnet-lite0", 1)
    torch.testing.assert_close(one.encoder.state_dict(), other.encoder.state_dict())
    decoders = [next(network.bottom.parameters()) for network in (one, other)]
    assert not torch.equal(*decoders)


def test_what_is_seen_anywhere_can_reach_any_pixel_and_details_reach_theirs() -> None:
    network = unet("vgg-narrow", 1, pretrained=False).eval()
    image = torch.rand(1, 3, 64, 64, requires_grad=True)
    network(image)[0, 0, 20, 30].backward()
    assert image.grad is not None
    reached = image.grad[0].abs().sum(0)
    assert reached[20, 30] == pytest.approx(float(reached.max()), rel=0.9)
    assert (reached > 0).float().mean() > 0.3


def test_an_image_is_judged_by_its_strongest_pixels() -> None:
    maps = torch.full((2, 1, 100, 100), -5.0)
    maps[1, 0, 50, :10] = 3.0
    torch.testing.assert_close(image_logits(maps, share=1e-3), torch.tensor([[-5.0], [3.0]]))
    assert image_logits(torch.zeros(1, 1, 4, 4)).item() == 0
