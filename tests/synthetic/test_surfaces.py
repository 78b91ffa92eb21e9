import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from relmask.synthetic.surfaces import CLASSES, CLEAN, DEFECTS, make_part, write_surfaces
from relmask.synthetic.textures import TEXTURES, noise, photograph


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("surfaces")
    write_surfaces(out, images=96, size=96)
    return out


@pytest.fixture(scope="module")
def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "index.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image)


def test_writes_the_number_of_images_asked_for(folder: Path, rows: list[dict[str, str]]) -> None:
    assert len(rows) == 96 == len({row["image"] for row in rows})
    assert all(pixels(folder / row["image"]).shape == (96, 96, 3) for row in rows)


def test_about_half_is_clean_and_every_class_is_in_every_split(rows: list[dict[str, str]]) -> None:
    assert 0.35 < np.mean([row["label"] == CLEAN for row in rows]) < 0.65
    for split in ("train", "val", "test"):
        labels = {label for row in rows if row["split"] == split for label in row["label"].split("|")}
        assert labels == {*CLASSES, CLEAN}


def test_no_group_crosses_a_split(rows: list[dict[str, str]]) -> None:
    splits = defaultdict(set)
    for row in rows:
        splits[row["group"]].add(row["split"])
    assert len(splits) < len(rows)
    assert all(len(found) == 1 for found in splits.values())


def test_masks_hold_exactly_the_classes_of_the_label(folder: Path, rows: list[dict[str, str]]) -> None:
    with (folder / "classes.csv").open(encoding="utf-8", newline="") as file:
        names = {int(row["value"]): row["label"] for row in csv.DictReader(file)}
    assert list(names.values()) == list(CLASSES)
    for row in rows:
        if row["label"] == CLEAN:
            assert not row["mask"]
        else:
            values = set(np.unique(pixels(folder / row["mask"])).tolist()) - {0}
            assert {names[value] for value in values} == set(row["label"].split("|"))


def test_the_same_seed_writes_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        write_surfaces(tmp_path / name, seed=seed, images=4, size=64)
    a, b, c = ({path.name: path.read_bytes() for path in (tmp_path / n).rglob("*.*")} for n in "abc")
    assert a == b
    assert a != c


@pytest.mark.parametrize("texture", sorted(TEXTURES))
def test_textures_are_exposed_neither_too_dark_nor_too_bright(texture: str) -> None:
    rng = np.random.default_rng(1)
    picture = photograph(TEXTURES[texture](rng, 96), rng)
    assert picture.shape == (96, 96, 3)
    assert 0.3 < np.median(picture) < 0.65
    assert np.mean((picture <= 0) | (picture >= 1)) < 0.02


@pytest.mark.parametrize("label", sorted(DEFECTS))
def test_a_defect_is_where_its_mask_is(label: str) -> None:
    rng = np.random.default_rng(2)
    for _ in range(5):
        before = TEXTURES["painted"](rng, 128)
        after, mask = DEFECTS[label](before, rng)
        changed = np.abs(after.height - before.height)
        assert 30 < mask.sum() < 0.25 * mask.size
        assert changed[mask].mean() > 10 * changed[~mask].mean()


def test_distractors_are_in_clean_and_in_defective_parts_alike() -> None:
    def roughness(labels: tuple[str, ...]) -> float:
        parts = [make_part(np.random.default_rng((5, i)), 96, labels) for i in range(30)]
        return float(np.mean([p.surface.albedo[p.mask == 0].std() for p in parts]))

    assert roughness(()) == pytest.approx(roughness(("crack",)), rel=0.05)


def test_noise_has_the_deviation_and_the_grain_it_promises() -> None:
    field = noise(np.random.default_rng(0), 128, 1.0, stretch=10.0)
    assert field.std() == pytest.approx(1, abs=1e-3)
    along, across = (np.mean(np.diff(field, axis=axis) ** 2) for axis in (1, 0))
    assert across > 20 * along
