from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from relmask.data.image_cache import ImageCache
from relmask.data.index import Sample
from relmask.data.reading import Intensity
from relmask.errors import ImageError


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    found = []
    for number in range(4):
        path = tmp_path / f"{number}.png"
        Image.fromarray(np.full((10, 20), 60 * number, np.uint8)).save(path)
        found.append(Sample(path, path.name, frozenset(), path.name))
    return found


@pytest.mark.parametrize("memory", [0, 2 * 3 * 16 * 16 * 2, 10**9])
def test_pictures_have_one_size_and_the_asked_order_however_many_fit(
    samples: list[Sample], memory: int
) -> None:
    pictures = ImageCache(samples, 16, Intensity(), memory)
    for indices in ([3, 0, 2], [1, 1], [0, 1, 2, 3]):
        batch = pictures.batch(indices)
        assert batch.shape == (len(indices), 3, 16, 16)
        assert batch.dtype == torch.float32
        expected = torch.tensor([60 * index / 255 for index in indices])
        torch.testing.assert_close(batch.amax((1, 2, 3)), expected, atol=1e-3, rtol=0)
    assert len(pictures) == 4


def test_what_fits_is_read_once(samples: list[Sample]) -> None:
    pictures = ImageCache(samples, 16, Intensity(), memory=2 * 3 * 16 * 16 * 2)
    for index in range(4):
        pictures.batch([index])
    for sample in samples:
        sample.path.unlink()
    pictures.batch([0, 1])
    with pytest.raises(ImageError):
        pictures.batch([2])


def test_deep_pictures_are_scaled_by_the_intensity(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    Image.fromarray(np.full((8, 8), 3000, np.uint16)).save(path)
    pictures = ImageCache([Sample(path, "deep", frozenset(), "deep")], 8, Intensity(low=1000, high=5000))
    assert float(pictures.batch([0]).mean()) == pytest.approx(0.5, abs=1e-3)
