import numpy as np
import pytest

from relmask.data.painting import MARGIN, painted_over


def surface(size: int = 48) -> np.ndarray:
    """A grey surface that gets lighter from left to right, with grain: (size, size, 3)."""
    grain = np.random.default_rng(0).normal(0, 0.02, (size, size, 1))
    return (np.linspace(0.3, 0.6, size)[None, :, None] + grain).repeat(3, 2).astype(np.float32)


def test_a_pit_that_is_painted_over_looks_like_the_surface_around_it() -> None:
    clean = surface()
    image, mask = clean.copy(), np.zeros((48, 48), bool)
    image[20:28, 20:28], mask[20:28, 20:28] = 0, True
    painted = painted_over(image, mask, np.random.default_rng(0))
    assert np.abs(painted - clean)[mask].mean() < 0.05
    assert painted[mask].std() > 0.01  # grain


def test_what_lies_outside_the_mask_and_its_margin_stays() -> None:
    image, mask = surface(), np.zeros((48, 48), bool)
    mask[20:28, 20:28] = True
    painted = painted_over(image, mask, np.random.default_rng(0))
    kept = np.ones_like(mask)
    kept[20 - MARGIN : 28 + MARGIN, 20 - MARGIN : 28 + MARGIN] = False
    assert (painted[kept] == image[kept]).all()


def test_the_given_picture_is_left_as_it_is() -> None:
    image = surface()
    before = image.copy()
    painted_over(image, np.eye(48, dtype=bool), np.random.default_rng(0))
    assert (image == before).all()


@pytest.mark.parametrize("covered", [0.0, 1.0], ids=["nothing", "everything"])
def test_masks_of_nothing_and_of_everything_give_a_picture(covered: float) -> None:
    image = surface()
    painted = painted_over(image, np.full((48, 48), bool(covered)), np.random.default_rng(0))
    assert painted.shape == image.shape
    assert painted.dtype == np.float32
    assert np.isfinite(painted).all()
    assert (painted == image).all() == (not covered)
