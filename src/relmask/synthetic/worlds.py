"""Small DATA folders of other worlds than machined parts, with true masks for evaluation.

Each takes a folder and writes pictures, masks and an index of a few dozen images within seconds: what the
worked pages of the documentation and the tests look at.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from scipy.special import expit

from relmask.files import whole, write_csv
from relmask.synthetic.surfaces import cracked, dusty, printed, save_image, save_mask, stained, stepped
from relmask.synthetic.textures import FloatArray, Surface, concrete, fractal, noise, photograph, tinted

SPLITS = ("train", "train", "val", "train", "test", "train", "val", "test")
CELLS = ("blast", "eosinophil", "lymphocyte", "monocyte", "neutrophil")
STAGES = ("mouldy", "rotten", "turning")
WEAVES = (  # 1 where the warp lies on top of the weft, repeated over the cloth
    ((1, 0), (0, 1)),  # plain
    ((1, 1, 0, 0), (0, 1, 1, 0), (0, 0, 1, 1), (1, 0, 0, 1)),  # twill
    ((1, 0, 0, 0, 0), (0, 0, 1, 0, 0), (0, 0, 0, 0, 1), (0, 1, 0, 0, 0), (0, 0, 0, 1, 0)),  # satin
    ((1, 1, 0, 0), (1, 1, 0, 0), (0, 0, 1, 1), (0, 0, 1, 1)),  # basket
    ((1, 0), (1, 0), (0, 1), (0, 1)),  # rib
    ((1, 1, 0, 0, 1, 1), (0, 1, 1, 1, 1, 0), (0, 0, 1, 1, 0, 0), (1, 0, 0, 0, 0, 1)),  # herringbone
)

Drawn = tuple[FloatArray, NDArray[np.uint8]]  # a picture (H, W, 3) in [0, 1] and its mask


def stained_cells(
    folder: Path, *, images: int = 60, size: int = 96, depth: Literal["rgb", "grey16"] = "rgb", seed: int = 0
) -> None:
    """White blood cells between red ones: five classes, none clean; RGB, or 16-bit grey over a part of it."""
    rows = []
    for number in range(images):
        rng = np.random.default_rng((seed, number))
        kind = number % len(CELLS)
        picture, mask = _smear(rng, size, kind)
        name = f"{number:03d}.png"
        if depth == "rgb":
            save_image(folder / "images" / name, picture)
        else:
            grey = np.round(1500 + 21000 * picture @ [0.3, 0.5, 0.2]).astype(np.uint16)
            with whole(folder / "images" / name) as part:
                Image.fromarray(grey).save(part)
        save_mask(folder / "masks" / name, mask)
        split = SPLITS[number // len(CELLS) % len(SPLITS)]
        rows.append((f"images/{name}", CELLS[kind], f"slide-{number}", split, f"masks/{name}"))
    _write_index(folder, CELLS, rows)


def meat_going_off(folder: Path, *, images: int = 64, size: int = 112, seed: int = 0) -> None:
    """Cuts of meat, good (clean) or with a spot at one of three stages: colour tells, shape does not."""
    stages = ("good", "turning", "mouldy", "rotten", "good")

    def draw(rng: np.random.Generator, number: int) -> tuple[str, Drawn]:
        label = stages[number % len(stages)]
        return label, _meat(rng, size, label)

    write_world(folder, STAGES, images, seed, draw)


def cracked_roads(folder: Path, *, images: int = 40, size: int = 256, seed: int = 0) -> None:
    """Stretches of road, three in four cracked, with joints, stains and paint; a crack is 1 to 3 px wide."""

    def draw(rng: np.random.Generator, number: int) -> tuple[str, Drawn]:
        road = concrete(rng, size)
        for chance, distractor in ((0.7, stained), (0.5, stepped), (0.4, printed)):
            if rng.random() < chance:
                road = distractor(road, rng)
        mask = np.zeros((size, size), np.uint8)
        if number % 4:
            road, where = cracked(road, rng)
            mask[where] = 1
        return "crack" if mask.any() else "ok", (photograph(dusty(road, rng), rng), mask)

    write_world(folder, ("crack",), images, seed, draw)


def spotted_cloth(folder: Path, *, images: int = 96, size: int = 256, seed: int = 0) -> None:
    """Cloth in six weaves; every second picture has one to three spots of 3 to 8 px, darker or lighter."""

    def draw(rng: np.random.Generator, number: int) -> tuple[str, Drawn]:
        cloth = _woven(rng, size, WEAVES[rng.integers(len(WEAVES))])
        mask = np.zeros((size, size), np.uint8)
        if number % 2:
            cloth, where = _spotted(rng, cloth)
            mask[where] = 1
        return "spot" if number % 2 else "ok", (photograph(cloth, rng), mask)

    write_world(folder, ("spot",), images, seed, draw)


def write_world(
    folder: Path,
    classes: tuple[str, ...],
    images: int,
    seed: int,
    draw: Callable[[np.random.Generator, int], tuple[str, Drawn]],
) -> None:
    """Write a DATA folder of pictures that a function draws: JPEG files, PNG masks, classes.csv, index.csv.

    Args:
        folder: where to; it is made.
        classes: of the values 1, 2 ... in the masks.
        images: how many.
        seed: the same seed writes the same pictures.
        draw: source of chance and number of a picture -> its label, the picture and its mask.
    """
    rows, seen = [], dict[str, int]()
    for number in range(images):
        label, (picture, mask) = draw(np.random.default_rng((seed, number)), number)
        name = f"{number:03d}"
        save_image(folder / "images" / f"{name}.jpg", picture)
        if mask.any():
            save_mask(folder / "masks" / f"{name}.png", mask)
        split = SPLITS[seen.setdefault(label, 0) % len(SPLITS)]
        seen[label] += 1
        rows.append(
            (f"images/{name}.jpg", label, f"part-{name}", split, f"masks/{name}.png" if mask.any() else "")
        )
    _write_index(folder, classes, rows)


def _write_index(folder: Path, classes: tuple[str, ...], rows: list[tuple[str, str, str, str, str]]) -> None:
    write_csv(folder / "classes.csv", ("value", "label"), enumerate(classes, start=1))
    write_csv(folder / "index.csv", ("image", "label", "group", "split", "mask"), rows)


# --- cells -------------------------------------------------------------------------------------------------


def _smear(rng: np.random.Generator, size: int, kind: int) -> Drawn:
    y, x = np.mgrid[:size, :size].astype(np.float32)
    picture = np.array([0.93, 0.89, 0.88]) + 0.015 * fractal(rng, size)[..., None]
    for _ in range(int(size * size / 900)):
        cy, cx = rng.uniform(0, size, 2)
        picture = _laid(
            picture, _disc(x, y, cx, cy, rng.uniform(0.085, 0.105) * size), (0.86, 0.62, 0.62), 0.75
        )
        picture = _laid(picture, _disc(x, y, cx, cy, 0.04 * size), (0.92, 0.80, 0.79), 0.6)
    cy, cx = rng.uniform(0.3, 0.7, 2) * size
    radius = (0.25, 0.21, 0.15, 0.24, 0.2)[kind] * size * rng.uniform(0.92, 1.08)
    wobble = 0.06 * radius * noise(rng, size, 0.5 * radius)
    cell = _disc(x, y, cx, cy, radius, wobble)
    body = (
        (0.72, 0.70, 0.88),
        (0.93, 0.66, 0.55),
        (0.70, 0.74, 0.92),
        (0.76, 0.77, 0.86),
        (0.90, 0.80, 0.86),
    )[kind]
    picture = _laid(picture, cell, body, 0.92)
    if kind == CELLS.index("eosinophil"):
        picture = _laid(picture, cell * expit(4 * (noise(rng, size, 1.1) - 0.4)), (0.88, 0.42, 0.25), 0.85)
    nucleus = _nucleus(rng, kind, x, y, cx, cy, radius, wobble)
    chromatin = 1 + 0.10 * noise(rng, size, 1.2)[..., None]
    picture = _laid(picture, nucleus, np.array([0.42, 0.26, 0.56]) * chromatin, 0.93)
    picture = ndimage.gaussian_filter(picture, (0.7, 0.7, 0)) + rng.normal(0, 0.012, picture.shape)
    return picture.clip(0, 1).astype(np.float32), ((cell > 0.5) * np.uint8(kind + 1)).astype(np.uint8)


def _nucleus(
    rng: np.random.Generator,
    kind: int,
    x: FloatArray,
    y: FloatArray,
    cx: float,
    cy: float,
    radius: float,
    wobble: FloatArray,
) -> FloatArray:
    turn = rng.uniform(0, 2 * np.pi)
    if CELLS[kind] in ("eosinophil", "neutrophil"):
        lobes = 2 if CELLS[kind] == "eosinophil" else 4
        angles = turn + np.arange(lobes) * (2.4 if lobes == 2 else 1.35)
        parts = [
            _disc(x, y, cx + 0.42 * radius * np.cos(a), cy + 0.42 * radius * np.sin(a), 0.36 * radius)
            for a in angles
        ]
        lobed: FloatArray = np.stack(parts).max(0)
        return lobed
    share = {"blast": 0.84, "lymphocyte": 0.86, "monocyte": 0.66}[CELLS[kind]]
    nucleus = _disc(x, y, cx, cy, share * radius, 0.5 * wobble)
    if CELLS[kind] == "monocyte":
        bite = _disc(x, y, cx + 0.6 * radius * np.cos(turn), cy + 0.6 * radius * np.sin(turn), 0.42 * radius)
        nucleus = nucleus * (1 - bite)
    if CELLS[kind] == "blast":
        dot = _disc(x, y, cx + 0.25 * radius * np.cos(turn), cy + 0.25 * radius * np.sin(turn), 0.17 * radius)
        nucleus = nucleus * (1 - 0.6 * dot)
    return nucleus


def _disc(
    x: FloatArray, y: FloatArray, cx: float, cy: float, radius: float, wobble: FloatArray | float = 0.0
) -> FloatArray:
    cover: FloatArray = expit((radius + wobble - np.hypot(x - cx, y - cy)) / 0.6)
    return cover


def _laid(
    picture: FloatArray, cover: FloatArray, colour: FloatArray | tuple[float, ...], opacity: float
) -> FloatArray:
    share = opacity * cover[..., None]
    mixed: FloatArray = picture * (1 - share) + np.asarray(colour) * share
    return mixed


# --- meat --------------------------------------------------------------------------------------------------


def _meat(rng: np.random.Generator, size: int, label: str) -> Drawn:
    y, x = np.mgrid[:size, :size].astype(np.float32)
    grain = rng.uniform(0, np.pi)
    fibre = noise(rng, size, 1.2, stretch=10, angle=grain)
    muscle = tinted(0.4 + 0.012 * fibre + 0.03 * fractal(rng, size, 1.5), _shade(rng, (1.5, 0.75, 0.7)))
    vein = np.abs(noise(rng, size, rng.uniform(5, 9), stretch=3, angle=grain)) - rng.uniform(0.05, 0.12)
    albedo = _laid(muscle, expit(-vein / 0.03), (0.86, 0.74, 0.66), 0.8)  # marbling
    height = 0.15 * fibre + 0.2 * fractal(rng, size, 1.5)
    mask = np.zeros((size, size), np.uint8)
    if label != "good":
        cy, cx = rng.uniform(0.3, 0.7, 2) * size
        radius = rng.uniform(0.12, 0.22) * size
        inside = radius - np.hypot(y - cy, x - cx) + 0.25 * radius * noise(rng, size, 0.3 * radius)
        cover = expit(inside / 1.2)
        if label == "mouldy":
            fuzz = 0.75 + 0.12 * noise(rng, size, 0.8)
            albedo = _laid(albedo, cover, fuzz[..., None] * np.array([0.62, 0.78, 0.68]), 0.85)
            height = height * (1 - cover) + 0.5 * cover * noise(rng, size, 0.9)
        elif label == "turning":
            albedo = _laid(albedo, cover, albedo.mean(-1, keepdims=True) * np.array([1.15, 0.9, 0.68]), 0.8)
        else:
            albedo = _laid(albedo, cover, albedo.mean(-1, keepdims=True) * np.array([0.62, 0.72, 0.45]), 0.9)
            height = height * (1 - 0.6 * cover)
        mask[inside > 0] = STAGES.index(label) + 1
    surface = Surface(height.astype(np.float32), albedo.clip(0.02, 0.98).astype(np.float32), 0.15)
    return photograph(surface, rng), mask


def _shade(rng: np.random.Generator, colour: tuple[float, float, float]) -> tuple[float, float, float]:
    red, green, blue = np.asarray(colour) * rng.uniform(0.93, 1.07, 3)
    return float(red), float(green), float(blue)


# --- cloth -------------------------------------------------------------------------------------------------


def _woven(rng: np.random.Generator, size: int, weave: tuple[tuple[int, ...], ...]) -> Surface:
    """Cloth of threads 2.5 to 5 px wide; warp and weft differ a little in colour and in thickness."""
    y, x = np.mgrid[:size, :size] + 0.6 * np.stack([noise(rng, size, 12.0), noise(rng, size, 12.0)])
    turn = rng.uniform(-0.15, 0.15)
    warp_width, weft_width = rng.uniform(2.5, 5, 2)
    # In threads, counted from far outside of the picture, so that no number is negative
    across = (np.cos(turn) * x + np.sin(turn) * y) / warp_width + 1000
    along = (np.cos(turn) * y - np.sin(turn) * x) / weft_width + 1000
    column, row = across.astype(int), along.astype(int)
    pattern = np.array(weave)
    warp = pattern[row % len(pattern), column % pattern.shape[1]] > 0
    # A thread is round: high in its middle, low beside its neighbour
    height = np.where(warp, np.sin(np.pi * (across % 1)), 0.9 * np.sin(np.pi * (along % 1)))
    of_warp, of_weft = rng.normal(0, 0.03, (2, 2000 + size))
    uneven = np.where(warp, of_warp[column], of_weft[row])
    shade = rng.uniform(0.3, 0.6) * np.where(warp, 1.0, rng.uniform(0.8, 1.0)) * (1 + uneven)
    colour = np.array([1.0, 1.0, 1.0]) + rng.uniform(-0.25, 0.25, 3)
    albedo = tinted((shade * (0.75 + 0.25 * height)).astype(np.float32), _shade(rng, tuple(colour)))
    return Surface((0.8 * height + 0.1 * noise(rng, size, 0.8)).astype(np.float32), albedo, 0.05)


def _spotted(rng: np.random.Generator, cloth: Surface) -> tuple[Surface, NDArray[np.bool_]]:
    y, x = np.mgrid[: cloth.size, : cloth.size].astype(np.float32)
    albedo, where = cloth.albedo, np.zeros((cloth.size, cloth.size), bool)
    for _ in range(rng.integers(1, 4)):
        cy, cx = rng.uniform(0.05, 0.95, 2) * cloth.size
        radius = rng.uniform(1.5, 4)
        cover = _disc(x, y, cx, cy, radius, 0.15 * radius * noise(rng, cloth.size, radius))
        colour = albedo.mean((0, 1)) * rng.choice([rng.uniform(0.35, 0.6), rng.uniform(1.4, 1.7)])
        albedo = _laid(albedo, cover, colour, rng.uniform(0.6, 0.9))
        where |= cover > 0.5
    return Surface(cloth.height, albedo.clip(0.02, 0.98).astype(np.float32), cloth.gloss), where
