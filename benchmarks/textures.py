"""Sets of the portfolio that nobody tuned for: photographs of brick, grass and gravel, and printed caps.

Crops of photographs that scikit-image ships get drawn defects: scratches of a few pixels, holes, and smears,
which only take the grain away; drawn caps get chips, stains and scratches.
"""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage import data, draw, transform

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Part = tuple[Array, Mask]

PRINTS = "prints"
"""Name of the set of printed caps; the others are called as their photographs."""
TEXTURE = 224
CAP = 480
PHOTOGRAPHS: dict[str, Callable[[], NDArray[np.uint8]]] = {
    "brick": data.brick,
    "grass": data.grass,
    "gravel": data.gravel,
}


def crop(photograph: Array, rng: np.random.Generator) -> Array:
    """A part of a photograph, turned by up to 8 degrees or not, lighter or darker."""
    turned = (
        transform.rotate(photograph, rng.uniform(-8, 8), mode="reflect") if rng.random() < 0.5 else photograph
    )
    turned = turned[:, ::-1] if rng.random() < 0.5 else turned
    top, left = (int(rng.integers(0, length - TEXTURE + 1)) for length in turned.shape)
    part = turned[top : top + TEXTURE, left : left + TEXTURE]
    return np.clip(part * rng.uniform(0.85, 1.15) + rng.uniform(-0.05, 0.05), 0, 1)


def line(rng: np.random.Generator, size: int, length: float, width: float) -> Mask:
    """A line that winds a little."""
    mask = np.zeros((size, size), bool)
    angle = rng.uniform(0, 2 * np.pi)
    row, column = rng.uniform(0.2, 0.8, 2) * size
    for _ in range(int(length)):
        angle += rng.normal(0, 0.12)
        row, column = row + np.sin(angle), column + np.cos(angle)
        mask[draw.disk((row, column), width, shape=mask.shape)] = True
    return mask


def blob(rng: np.random.Generator, size: int, radius: float) -> Mask:
    """A disc with an uneven border."""
    noise = gaussian_filter(rng.normal(size=(size, size)), radius / 3)
    rows, columns = np.mgrid[:size, :size]
    row, column = rng.uniform(0.2, 0.8, 2) * size
    found: Mask = np.hypot(rows - row, columns - column) / radius + 0.25 * noise / noise.std() < 1
    return found


def textured(image: Array, label: str, rng: np.random.Generator) -> Part:
    """A crop (H, W) with a defect of that class, and where it is."""
    mask = np.zeros(image.shape, bool)
    if label == "scratch":
        mask = line(rng, TEXTURE, rng.uniform(50, 140), rng.uniform(0.8, 1.6))
        image = np.where(mask, image * 0.4 + rng.choice([0.0, 0.55]), image)
    elif label == "smear":
        mask = blob(rng, TEXTURE, rng.uniform(18, 40))
        weight = gaussian_filter(mask.astype(float), 1.5)
        image = image * (1 - weight) + gaussian_filter(image, 3.5) * weight
    elif label == "hole":
        mask = blob(rng, TEXTURE, rng.uniform(5, 10))
        image = np.where(mask, 0.06 + 0.05 * rng.random(image.shape), image)
    return gaussian_filter(image, 0.5) + rng.normal(0, 0.01, image.shape), mask


def cap(label: str, rng: np.random.Generator) -> Part:
    """A red cap (H, W, 3) with a pale print on a dark ground, turned anyhow, and where its defect is."""
    rows, columns = np.mgrid[:CAP, :CAP]
    row, column = CAP / 2 + rng.normal(0, 6, 2)
    radius, turn = CAP * 0.38 + rng.normal(0, 3), rng.uniform(0, 2 * np.pi)
    away, angle = np.hypot(rows - row, columns - column), np.arctan2(rows - row, columns - column) + turn
    body = away < radius * (1 + 0.012 * np.cos(24 * angle))
    image = np.full((CAP, CAP, 3), 0.04) + rng.normal(0, 0.008, (CAP, CAP, 3))
    red = np.array([0.62, 0.12, 0.14]) * rng.uniform(0.9, 1.1)
    shade = 1 + 0.25 * np.cos(angle - turn - 0.8) * (away / radius) ** 2
    shade += 0.12 * np.sin(away / 2.2) * (away > 0.8 * radius)
    image[body] = (red * shade[..., None])[body]
    ring = (away > 0.45 * radius) & (away < 0.55 * radius) & (np.sin(9 * angle) > -0.6)
    image[ring | (away < 0.28 * radius) & (np.cos(5 * angle) > 0.2)] = np.array([0.85, 0.83, 0.75])
    mask = np.zeros((CAP, CAP), bool)
    if label == "chip":
        where, size = rng.uniform(0, 2 * np.pi), rng.uniform(14, 30)
        uneven = 48 * gaussian_filter(rng.normal(size=(CAP, CAP)), 4)
        spot = np.hypot(rows - row - radius * np.sin(where), columns - column - radius * np.cos(where))
        mask = (spot + uneven < size) & body
        image[mask] = 0.05
    elif label == "stain":
        mask = blob(rng, CAP, rng.uniform(14, 34)) & (away < 0.9 * radius)
        weight = gaussian_filter(mask.astype(float), 2)[..., None] * rng.uniform(0.5, 0.8)
        image = image * (1 - weight) + np.array([0.25, 0.3, 0.1]) * weight
    elif label == "scratch":
        mask = line(rng, CAP, rng.uniform(60, 170), rng.uniform(0.9, 1.8)) & (away < 0.95 * radius)
        image[mask] = image[mask] * 0.4 + 0.5
    return gaussian_filter(image, (0.7, 0.7, 0)) + rng.normal(0, 0.012, image.shape), mask


def write_set(name: str, folder: Path) -> None:
    """80 clean pictures and 16 of each defect, the same ones each time."""
    rng = np.random.default_rng(7)
    defects = ("chip", "stain", "scratch") if name == PRINTS else ("scratch", "smear", "hole")
    photograph = None if name == PRINTS else PHOTOGRAPHS[name]() / 255.0
    rows: list[tuple[str, str, str, str]] = []
    for number, label in enumerate(["ok"] * 80 + [label for label in defects for _ in range(16)]):
        image, mask = cap(label, rng) if photograph is None else textured(crop(photograph, rng), label, rng)
        names = f"{label}/{number:03d}.png", f"masks/{number:03d}.png" if mask.any() else ""
        for path, values in zip(names, (image.clip(0, 1), mask), strict=True):
            if path:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray((values * 255).astype(np.uint8)).save(folder / path)
        rows.append((names[0], label, str(number), names[1]))
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("image", "label", "group", "mask"), *rows])
