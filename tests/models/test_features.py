import pytest
import torch
from torch import Tensor
from torch.nn import functional

from relmask.models.features import Features, View
from relmask.models.zoo import trunk


def features(margin: int = 0) -> Features:
    return Features(trunk("vgg-narrow", taps=(2, 3)), margin).eval()


@pytest.mark.parametrize("margin", [0, 32])
@pytest.mark.parametrize("size", [64, 96])
def test_all_taps_lie_on_the_grid_of_the_shallowest(margin: int, size: int) -> None:
    model = features(margin)
    found = model(torch.rand(2, 3, size, size))
    assert found.shape == (2, model.channels, *model.grid(size))


@pytest.mark.parametrize("size", [64, 70, 97])
@pytest.mark.parametrize("name", ["vgg-narrow", "resnet18", "efficientnet-lite0"])
def test_a_margin_leaves_a_picture_of_any_size_on_its_grid(name: str, size: int) -> None:
    model = Features(trunk(name, pretrained=False), margin=32).eval()
    averages = model.averages(torch.rand(1, 3, size, size))
    for tap, stride in zip(averages, model.trunk.strides, strict=True):
        assert tap.shape[2:] == (-(-size // stride), -(-size // stride))
    assert model.join(averages).shape[2:] == model.grid(size)


@pytest.mark.parametrize("size", [64, 70, 100])
def test_a_coarser_grid_covers_the_whole_picture(size: int) -> None:
    model = Features(trunk("vgg-narrow", taps=(2, 3)), margin=32, stride=8).eval()
    images = torch.rand(1, 3, size, size)
    fine = Features(model.trunk, margin=32).eval().averages(images)[0]
    coarse = model.averages(images)[0]
    assert coarse.shape[2:] == model.grid(size) == (-(-size // 8),) * 2
    last = fine[:, :, 2 * coarse.shape[2] - 2 :, 2 * coarse.shape[3] - 2 :]
    torch.testing.assert_close(coarse[:, :, -1, -1], last.mean((2, 3)))


def test_a_plain_tap_is_what_the_trunk_gives() -> None:
    model, images = Features(trunk("vgg-narrow"), plain=True).eval(), torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(model(images), model.trunk(images)[0])


def test_joining_averages_is_the_forward_pass() -> None:
    model, images = features(margin=32), torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(model.join(model.averages(images)), model(images))


def test_taps_standardised_on_their_own_grids_are_those_of_the_joint_grid() -> None:
    model, images = features(), torch.rand(4, 3, 64, 64)
    averages = model.averages(images)
    model.fit([averages])
    own = model.standardised(averages)
    torch.testing.assert_close(model.join(averages)[:, : own[0].shape[1]], own[0])
    torch.testing.assert_close(model.join(averages), torch.cat(_resized(own), dim=1))


def joined(size: tuple[int, int] = (64, 128)) -> Features:
    """Two trunks, the first at half the size of the image; the second normalises in another way."""
    second = trunk("efficientnet-lite0", pretrained=False, taps=(4,))
    first = trunk("vgg-narrow", taps=(2,))
    view = View(second, 16, 8, normalised=(first.mean, first.std))
    return Features(first, 32, 8, size=size, beside=[view]).eval()


def test_features_of_several_trunks_stand_side_by_side() -> None:
    model, images = joined(), torch.rand(2, 3, 128, 128)
    halved = functional.interpolate(images, size=(64, 64), mode="bilinear", antialias=True)
    first = Features(model.trunk, 32, 8).eval()(halved)
    assert model.grid(128) == (8, 8)
    assert model.channels == first.shape[1] + 40
    found = model(images)
    torch.testing.assert_close(found[:, : first.shape[1]], first)
    second = model.beside[0]
    assert isinstance(second, View)
    mean, std = (torch.tensor(triple).view(3, 1, 1) for triple in (model.trunk.mean, model.trunk.std))
    own_mean, own_std = (torch.tensor(t).view(3, 1, 1) for t in (second.trunk.mean, second.trunk.std))
    again = View(second.trunk, 16, 8).averages((images * std + mean - own_mean) / own_std)[0]
    resized = functional.interpolate(again, size=(8, 8), mode="bilinear")
    torch.testing.assert_close(found[:, first.shape[1] :], resized, rtol=1e-4, atol=1e-5)


def test_a_trunk_of_the_image_s_own_size_gets_it_as_it_is() -> None:
    same, images = joined((96, 96)), torch.rand(1, 3, 64, 64)
    assert same.size is None
    torch.testing.assert_close(
        same.averages(images)[0], Features(same.trunk, 32, 8).eval().averages(images)[0]
    )


def _resized(taps: list[Tensor]) -> list[Tensor]:
    size = taps[0].shape[2:]
    return [functional.interpolate(tap, size=size, mode="bilinear") for tap in taps]


def test_fitted_features_have_mean_0_and_variance_1() -> None:
    model, images = features(), 99 * torch.randn(6, 3, 64, 64)
    model.fit(model.averages(part) for part in images.split(4))
    places = model(images).transpose(0, 1).flatten(1)
    alive = places.abs().sum(1) > 0  # a ReLU may leave a channel of an untrained trunk dead
    assert alive.sum() > 0.5 * len(alive)
    torch.testing.assert_close(places.mean(1), torch.zeros(len(places)), atol=1e-3, rtol=0)
    torch.testing.assert_close(places[alive].std(1), torch.ones(int(alive.sum())), atol=1e-2, rtol=0)


def test_the_batches_do_not_matter_to_the_fit() -> None:
    model, images = features(), torch.rand(5, 3, 64, 64)
    model.fit([model.averages(images)])
    at_once = model(images)
    model.fit(model.averages(part) for part in images.split(2))
    torch.testing.assert_close(model(images), at_once, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_with_a_margin_the_border_of_a_uniform_picture_is_more_like_its_inside() -> None:
    grey = torch.full((1, 3, 64, 64), 0.5)
    for padded, plain in zip(features(32).averages(grey), features().averages(grey), strict=True):
        assert _unevenness(padded) < 0.3 * _unevenness(plain)


def _unevenness(tap: Tensor) -> float:
    return float((tap - tap.mean((2, 3), keepdim=True)).abs().mean())
