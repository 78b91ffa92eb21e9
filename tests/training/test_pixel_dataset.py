from pathlib import Path

import numpy as np
import pytest
import torch

from relmask.data.index import Sample
from relmask.data.reading import Intensity
from relmask.models.bundle import Input
from relmask.training.pixel_dataset import Classes, Mapped, Picture

MEAN = (0.5, 0.5, 0.5)


def spec(size: int, windows: bool) -> Input:
    return Input(size=size, windows=windows, mean=MEAN, std=MEAN, sigma=0.0, intensity=Intensity())


def sample(name: str, *labels: str) -> Sample:
    return Sample(Path(name), name, frozenset(labels), name)


def painted(height: int, width: int, *, square: tuple[int, int] | None = None) -> tuple[Picture, Classes]:
    """A picture whose red channel is white just where its map shows class 2."""
    values = np.zeros((height, width), np.uint8)
    if square:
        values[square[0] : square[0] + 8, square[1] : square[1] + 8] = 2
    picture = np.full((height, width, 3), 0.3, np.float32)
    picture[..., 0] = np.where(values == 2, 1.0, 0.3)
    return picture, values


def mapped(size: int, windows: bool, *pictures: tuple[Picture, Classes]) -> Mapped:
    given = {f"{number}.png": picture for number, picture in enumerate(pictures)}
    samples = [sample(name, *(["b"] if values.any() else [])) for name, (_, values) in given.items()]
    return Mapped.of(samples, lambda s: given[s.name], ("a", "b"), spec(size, windows))


@pytest.mark.parametrize("windows", [False, True])
def test_a_map_moves_with_its_picture(windows: bool) -> None:
    part = mapped(48, windows, painted(80, 64, square=(30, 20)), painted(48, 48, square=(4, 30)))
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        images, maps = part.batch([0, 1], generator)
        assert images.shape[2] in ((48,) if windows else (48, 24))
        assert set(maps.unique().tolist()) <= {0, 2}
        shown = (images[:, 0] - images[:, 1]) > 0.3
        assert ((maps == 2) != shown).float().mean() < 0.02  # but for borders


def test_crops_are_found_by_what_is_rare() -> None:
    part = mapped(32, True, painted(400, 400, square=(200, 100)))
    generator = torch.Generator().manual_seed(0)
    shown = [bool((part.batch([0], generator)[1] == 2).any()) for _ in range(40)]
    assert 12 <= sum(shown) <= 32  # at random, one in a hundred would


def test_a_picture_smaller_than_a_window_is_continued_by_its_mirror() -> None:
    part = mapped(48, True, painted(20, 30, square=(2, 2)))
    images, maps = part.batch([0], torch.Generator().manual_seed(0))
    assert images.shape == (1, 3, 48, 48)
    assert (maps == 2).any()


def test_a_seed_repeats_a_batch() -> None:
    part = mapped(32, True, painted(90, 90, square=(40, 40)), painted(90, 70))
    one, other = (part.batch([0, 1], torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])


def test_targets_are_what_the_labels_say() -> None:
    part = mapped(32, False, painted(32, 32, square=(4, 4)), painted(32, 32))
    assert part.targets.tolist() == [[0, 1], [0, 0]]
