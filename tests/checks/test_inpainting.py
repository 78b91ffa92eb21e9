import numpy as np
from skimage import data

from relmask.checks.inpainting import MARGIN, inpaint, moved_copies


def plate(rng: np.random.Generator) -> np.ndarray:
    grey = 0.6 + 0.02 * rng.standard_normal((60, 80))
    return np.repeat(grey[..., None], 3, -1).astype(np.float32)


def test_what_was_painted_over_looks_like_what_surrounds_it() -> None:
    rng = np.random.default_rng(0)
    image = plate(rng)
    mask = np.zeros((60, 80), dtype=bool)
    mask[20:32, 40:52] = True
    image[mask] = 0.1
    painted = inpaint(image, mask, rng)
    assert abs(painted[mask].mean() - 0.6) < 0.02
    assert 0.01 < painted[mask].std() < 0.04  # the plate's grain, not a smooth patch
    near = np.zeros_like(mask)
    near[20 - MARGIN : 32 + MARGIN, 40 - MARGIN : 52 + MARGIN] = True
    assert (painted[~near] == image[~near]).all()


def test_what_was_painted_over_keeps_the_texture_of_the_picture() -> None:
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:96, :96]
    bricks = 0.5 + 0.3 * np.sign(np.sin(rows * np.pi / 6 + 0.3) * np.sin(columns * np.pi / 12 + 0.1))
    image = np.repeat(bricks[..., None], 3, -1).astype(np.float32)
    mask = np.zeros((96, 96), dtype=bool)
    mask[36:54, 30:60] = True
    broken = np.where(mask[..., None], np.float32(0.5), image)
    assert np.abs(inpaint(broken, mask, rng) - image)[mask].mean() < 0.02


def test_a_hole_in_a_wall_is_closed_with_bricks() -> None:
    grey = data.brick()[100:260, 100:260].astype(np.float32) / 255
    wall = np.repeat(grey[..., None], 3, -1)
    rows, columns = np.mgrid[:160, :160]
    hole = np.hypot(rows - 80, columns - 70) < 9
    painted = inpaint(np.where(hole[..., None], np.float32(0), wall), hole, np.random.default_rng(0))
    flat = np.where(hole, grey[~hole].mean(), grey)
    assert np.abs(painted.mean(-1) - grey)[hole].mean() < 0.8 * np.abs(flat - grey)[hole].mean()
    assert painted[hole].std() > 0.5 * wall[hole].std()


def test_nothing_that_is_painted_over_is_copied_to_where_something_else_was() -> None:
    rng = np.random.default_rng(0)
    image = plate(rng)
    mask = np.zeros((60, 80), dtype=bool)
    for top, left in ((8, 8), (8, 60), (40, 30)):
        mask[top : top + 8, left : left + 8] = True
    image[mask] = 0.1
    assert inpaint(image, mask, rng).min() > 0.45


def test_a_mask_across_the_whole_picture_leaves_no_other_place_and_is_filled_with_its_level() -> None:
    rng = np.random.default_rng(0)
    image = plate(rng)
    mask = np.ones((60, 80), dtype=bool)
    mask[:, :4] = False
    image[mask] = 0.1
    painted = inpaint(image, mask, rng)
    assert abs(painted[30, 8:60].mean() - 0.6) < 0.05


def test_empty_and_full_masks_can_be_painted_over() -> None:
    rng = np.random.default_rng(0)
    image = plate(rng)
    assert (inpaint(image, np.zeros((60, 80), dtype=bool), rng) == image).all()
    full = inpaint(image, np.ones((60, 80), dtype=bool), rng)
    assert np.isfinite(full).all()
    assert full.shape == image.shape


def test_copies_have_the_size_of_the_mask_and_lie_elsewhere() -> None:
    mask = np.zeros((40, 50), dtype=bool)
    mask[3:9, 5:8] = True
    copies = moved_copies(mask, 8, np.random.default_rng(0))
    assert {int(copy.sum()) for copy in copies} == {18}
    assert len({copy.tobytes() for copy in copies}) == 8
