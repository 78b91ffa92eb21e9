import pytest
import torch
from torch import Tensor

from relmask.data.augmentation import Augmentation, augment

NOTHING = Augmentation(turns=False, shift=0, gamma=0, contrast=0, brightness=0, noise=0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def values(picture: Tensor) -> tuple[float, ...]:
    return tuple(picture.flatten().mul(1e4).round().tolist())


@pytest.fixture
def images() -> Tensor:
    return torch.rand((4, 3, 16, 16), generator=generator(9))


def test_the_generator_alone_decides(images: Tensor) -> None:
    before = images.clone()
    one, two, other = (augment(images, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert torch.equal(images, before)


def test_no_strength_changes_nothing(images: Tensor) -> None:
    torch.testing.assert_close(augment(images, generator(), NOTHING), images)


@pytest.mark.parametrize("shape", [(0, 3, 8, 8), (1, 3, 1, 1), (2, 3, 9, 14), (3, 1, 8, 8)])
def test_shape_and_range_are_kept(shape: tuple[int, ...]) -> None:
    images = torch.rand(shape, generator=generator())
    strong = Augmentation(shift=0.5, gamma=1, contrast=1, brightness=1, noise=1)
    found = augment(images, generator(), strong)
    assert found.shape == images.shape
    assert not found.isnan().any()
    assert ((found >= 0) & (found <= 1)).all()


def test_turns_only_move_pixels_and_reach_all_eight_ways() -> None:
    image = torch.rand((1, 3, 6, 6), generator=generator()).expand(200, -1, -1, -1)
    found = augment(image, generator(), Augmentation(True, 0, 0, 0, 0, 0))
    ways = {values(picture) for picture in found}
    expected = {
        values(torch.rot90(side, quarter, (1, 2)))
        for side in (image[0], image[0].flip(2))
        for quarter in range(4)
    }
    assert ways == expected


def test_oblong_pictures_are_mirrored_and_never_turned() -> None:
    image = torch.rand((1, 3, 4, 6), generator=generator()).expand(100, -1, -1, -1)
    found = augment(image, generator(), Augmentation(True, 0, 0, 0, 0, 0))
    assert len({values(picture) for picture in found}) == 4


def test_shifts_are_bounded_and_reflect() -> None:
    row = torch.arange(10.0)[None, None, None, :].expand(100, 3, 10, 10) / 10
    found = augment(row, generator(), Augmentation(False, 0.2, 0, 0, 0, 0)) * 10
    starts = found[:, 0, 0, :].round().int()
    assert {tuple(line) for line in starts.tolist()} == {
        (2, 1, 0, 1, 2, 3, 4, 5, 6, 7),
        (1, 0, 1, 2, 3, 4, 5, 6, 7, 8),
        (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
        (1, 2, 3, 4, 5, 6, 7, 8, 9, 8),
        (2, 3, 4, 5, 6, 7, 8, 9, 8, 7),
    }


def test_every_picture_has_its_own_draw() -> None:
    images = torch.full((8, 3, 8, 8), 0.5)
    means = augment(images, generator(), Augmentation(False, 0, 0, 0, 0.1, 0)).mean((1, 2, 3))
    assert len(set(means.tolist())) == 8
    assert ((means - 0.5).abs() <= 0.1 + 1e-6).all()
