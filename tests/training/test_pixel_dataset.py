from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from relmask.arrays import ByteArray
from relmask.data.index import Sample
from relmask.data.reading import Intensity
from relmask.errors import ImageError
from relmask.models.bundle import Input
from relmask.training.pixel_dataset import MEMORY, VOID, Maps, PixelDataset

MEAN = (0.5, 0.5, 0.5)


def spec(size: int, windows: bool) -> Input:
    return Input(size=size, windows=windows, mean=MEAN, std=MEAN, intensity=Intensity())


def painted(height: int, width: int, *, square: tuple[int, int] | None = None) -> tuple[ByteArray, ByteArray]:
    """A picture whose red channel is white just where its map shows class 2, and this map."""
    values = np.zeros((height, width), np.uint8)
    if square:
        values[square[0] : square[0] + 8, square[1] : square[1] + 8] = 2
    picture = np.full((height, width, 3), 80, np.uint8)
    picture[values == 2, 0] = 255
    return picture, values


Dataset = Callable[..., PixelDataset]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Makes a data set of pictures and maps."""

    def made(
        size: int, windows: bool, *pictures: tuple[ByteArray, ByteArray], memory: int = MEMORY
    ) -> PixelDataset:
        samples, maps = [], {}
        for number, (picture, values) in enumerate(pictures):
            path = tmp_path / f"{number}.png"
            Image.fromarray(picture).save(path)
            labels = frozenset(["b"] if values.any() else [])
            samples.append(Sample(path, path.name, labels, path.name))
            maps[path.name] = values
        return PixelDataset.of(samples, lambda s, _: maps[s.name], ("a", "b"), spec(size, windows), memory)

    return made


@pytest.mark.parametrize("windows", [False, True])
def test_a_map_moves_with_its_picture(dataset: Dataset, windows: bool) -> None:
    part = dataset(48, windows, painted(80, 64, square=(30, 20)), painted(48, 48, square=(4, 30)))
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        images, maps = part.batch([0, 1], generator)
        assert images.shape[2] in ((48,) if windows else (48, 24))
        assert set(maps.unique().tolist()) <= {0, 2}
        shown = (images[:, 0] - images[:, 1]) > 0.3
        assert ((maps == 2) != shown).float().mean() < 0.02  # but for borders


def test_crops_are_found_by_what_is_rare(dataset: Dataset) -> None:
    part = dataset(32, True, painted(400, 400, square=(200, 100)))
    generator = torch.Generator().manual_seed(0)
    shown = [bool((part.batch([0], generator)[1] == 2).any()) for _ in range(40)]
    assert 12 <= sum(shown) <= 32  # at random, one in a hundred would


def test_a_picture_smaller_than_a_window_is_continued_by_its_mirror(dataset: Dataset) -> None:
    part = dataset(48, True, painted(20, 30, square=(2, 2)))
    images, maps = part.batch([0], torch.Generator().manual_seed(0))
    assert images.shape == (1, 3, 48, 48)
    assert (maps == 2).any()


def test_a_seed_repeats_a_batch(dataset: Dataset) -> None:
    part = dataset(32, True, painted(90, 90, square=(40, 40)), painted(90, 70))
    one, other = (part.batch([0, 1], torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])


def test_targets_are_what_the_labels_say(dataset: Dataset) -> None:
    part = dataset(32, False, painted(32, 32, square=(4, 4)), painted(32, 32))
    assert part.targets.tolist() == [[0, 1], [0, 0]]


@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize("memory", [0, 3 * 48 * 48, 50_000])
def test_what_does_not_fit_into_memory_is_read_again_and_the_same(
    dataset: Dataset, windows: bool, memory: int
) -> None:
    pictures = painted(80, 64, square=(30, 20)), painted(48, 48, square=(4, 30)), painted(90, 91)
    bounded, whole = (dataset(48, windows, *pictures, memory=most) for most in (memory, MEMORY))
    for _ in range(2):
        for index in range(3):
            assert torch.equal(bounded.images[index], whole.images[index])
            assert torch.equal(bounded.maps[index], whole.maps[index])
    one, other = (part.batch([2, 0, 1], torch.Generator().manual_seed(5)) for part in (bounded, whole))
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])


def test_pictures_are_kept_as_far_as_memory_goes(dataset: Dataset, tmp_path: Path) -> None:
    pictures = [painted(40, 40, square=(3, 3)) for _ in range(3)]
    bounded = dataset(32, True, *pictures, memory=2 * 3 * 40 * 40)
    for path in tmp_path.glob("*.png"):
        path.unlink()
    assert bounded.images[0].shape == bounded.images[1].shape == (3, 40, 40)
    with pytest.raises(ImageError, match=r"2\.png"):
        bounded.images[2]


def test_maps_past_the_memory_take_a_hundredth_of_it() -> None:
    values = torch.zeros(1000, 1000, dtype=torch.uint8)
    values[200:700, 300:600] = 3
    values[500:520] = VOID
    maps = Maps([values, values], memory=1_000_000)
    packed = maps._kept[1]
    assert isinstance(packed, tuple)
    assert len(packed[0]) < 10_000
    assert torch.equal(maps[0], maps[1])
