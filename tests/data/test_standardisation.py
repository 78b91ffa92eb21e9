import torch

from relmask.data.standardisation import FLOOR, standardised


def test_light_and_colour_of_a_whole_picture_make_no_difference() -> None:
    images = 0.3 + 0.2 * torch.rand(2, 3, 9, 7)
    tint = torch.tensor([0.1, -0.2, 0.4]).view(3, 1, 1)
    torch.testing.assert_close(standardised(images + tint), standardised(images))


def test_contrast_makes_little_difference_above_the_floor_and_much_below() -> None:
    pattern = torch.tensor([-1.0, 1.0]).expand(1, 1, 4, 2)
    bold, half, faint = (float(standardised(0.5 + size * pattern).max()) for size in (0.4, 0.2, 0.001))
    assert half > 0.95 * bold
    assert faint < 0.1 * bold


def test_each_picture_and_channel_is_levelled_by_itself() -> None:
    images = torch.rand(3, 2, 5, 6, dtype=torch.float64)
    one = images[1, 1]
    expected = (one - one.mean()) / (one.std(correction=0) + FLOOR)
    torch.testing.assert_close(standardised(images)[1, 1], expected)


def test_an_even_picture_is_all_zeros_and_the_bounds_hold() -> None:
    assert not standardised(torch.full((1, 3, 4, 4), 0.5)).any()
    spot = torch.zeros(1, 1, 300, 300)
    spot[..., 0, 0] = 1
    assert standardised(spot).abs().max() < 1 / FLOOR
