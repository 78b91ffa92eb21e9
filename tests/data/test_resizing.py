import numpy as np
import pytest
import torch

from relmask.data.resizing import resize_map, to_tensor


def test_a_picture_of_the_right_size_is_only_transposed() -> None:
    picture = np.random.default_rng(0).random((8, 8, 3), dtype=np.float32)
    assert np.array_equal(to_tensor(picture, 8).permute(1, 2, 0).numpy(), picture)


def test_without_a_size_a_picture_keeps_its_own() -> None:
    picture = np.random.default_rng(0).random((5, 9, 3), dtype=np.float32)
    found = to_tensor(picture)
    assert found.is_contiguous()
    assert np.array_equal(found.permute(1, 2, 0).numpy(), picture)


def test_a_view_with_negative_strides_is_taken_too() -> None:
    picture = np.random.default_rng(0).random((6, 6, 3), dtype=np.float32)
    assert np.array_equal(to_tensor(picture[::-1, :, ::-1], 6)[0].numpy(), picture[::-1, :, 2])


@pytest.mark.parametrize("shape", [(40, 20), (7, 90), (3, 3), (1, 1)])
def test_resizing_stays_within_the_range_and_keeps_the_mean(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).random((*shape, 3), dtype=np.float32)
    found = to_tensor(picture, 16)
    assert found.shape == (3, 16, 16)
    assert picture.min() - 1e-6 <= found.min() <= found.max() <= picture.max() + 1e-6
    assert abs(float(found.mean()) - picture.mean()) < 0.1


def test_shrinking_averages_instead_of_skipping() -> None:
    stripes = np.zeros((64, 64, 3), np.float32)
    stripes[:, ::2] = 1
    inner = to_tensor(stripes, 8)[:, :, 1:-1]
    torch.testing.assert_close(inner, torch.full_like(inner, 0.5), atol=0.02, rtol=0)


@pytest.mark.parametrize("size", [(4, 4), (8, 8), (31, 12)])
def test_a_map_keeps_its_density(size: tuple[int, int]) -> None:
    assert torch.equal(resize_map(torch.full((2, 8, 8), 0.3), *size), torch.full((2, *size), 0.3))


def test_a_map_of_the_right_size_is_itself() -> None:
    values = torch.rand(1, 4, 6)
    assert resize_map(values, 4, 6) is values
