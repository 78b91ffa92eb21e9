"""Synthetic inspection pictures with exact masks: what `relmask demo` and the tests look at.

Clean and defective parts carry the same distractors (stains, steps, tooling grooves, printed
marks, dust, shadows), so that
brightness alone tells nothing. Defects are cracks, pits and patches of another roughness.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from scipy.special import expit

from relmask.files import whole, write_bytes, write_csv
from relmask.out import Contents
from relmask.synthetic.textures import TEXTURES, FloatArray, Surface, noise, photograph

MaskArray = NDArray[np.bool_]
CLASSES = ("crack", "patch", "pit")
CLEAN = "ok"

# One part in two is clean; of the others most have one kind of defect.
_KINDS: tuple[tuple[str, ...], ...] = (
    *((),) * 12,
    *(("crack",),) * 4,
    *(("pit",),) * 4,
    *(("patch",),) * 3,
    ("crack", "pit"),
    ("crack", "patch"),
    ("patch", "pit"),
)
# 60 % train, 15 % val, 25 % test, well mixed, so that every run of parts has about these shares.
_SPLITS = (
    *("train", "test", "train", "val", "train", "train", "test", "train", "train", "train"),
    *("test", "train", "val", "train", "train", "test", "train", "val", "train", "test"),
)


@dataclass(frozen=True, slots=True)
class Part:
    """A surface and where its defects are."""

    surface: Surface
    mask: NDArray[np.uint8]  # (H, W), 0 = background, k = k-th of CLASSES


CONTENTS = Contents(
    "pictures", "demo.json", ("index.csv", "classes.csv", "images/*.jpg", "masks/*.png"), alone=True
)
"""What `write_surfaces` leaves in its folder, for whoever prepares it."""


def write_surfaces(folder: Path, *, seed: int = 0, images: int = 480, size: int = 160) -> None:
    """Write a DATA folder: `images/`, `masks/`, `classes.csv`, `index.csv` (image,label,group,split,mask).

    Every fourth part is photographed twice, under another light; both pictures have one group and one split.

    Args:
        folder: where to; it is made.
        seed: the same seed writes the same pictures.
        images: how many, about half of them clean.
        size: height and width in pixels.

    Raises:
        OutError: the folder cannot be written.
    """
    rows = []
    for number, (labels, split, shots) in enumerate(_plan(images, seed)):
        rng = np.random.default_rng((seed, number))
        part = make_part(rng, size, labels)
        for shot in range(shots):
            name = f"{number:04d}{'ab'[shot]}"
            save_image(
                folder / "images" / f"{name}.jpg", photograph(part.surface, rng, blur=rng.uniform(0.45, 0.75))
            )
            if labels:
                save_mask(folder / "masks" / f"{name}.png", part.mask)
            mask = f"masks/{name}.png" if labels else ""
            rows.append((f"images/{name}.jpg", "|".join(labels) or CLEAN, f"part-{number:04d}", split, mask))
    write_csv(folder / "classes.csv", ("value", "label"), enumerate(CLASSES, start=1))
    write_csv(folder / "index.csv", ("image", "label", "group", "split", "mask"), rows)


def _plan(images: int, seed: int) -> Iterator[tuple[tuple[str, ...], str, int]]:
    """Labels, split and number of pictures of each part; every split gets its share of every kind."""
    rng = np.random.default_rng((seed, images, 0))
    kinds = [_KINDS[i % len(_KINDS)] for i in range(images)]
    kinds = [kinds[i] for i in rng.permutation(images)]
    turn = {kind: int(rng.integers(len(_SPLITS))) for kind in sorted(set(_KINDS))}
    left = images
    for number, kind in enumerate(kinds):
        if not left:
            return
        shots = min(left, 2 if number % 4 == 0 else 1)
        left -= shots
        turn[kind] += 1
        yield kind, _SPLITS[turn[kind] % len(_SPLITS)], shots


def make_part(rng: np.random.Generator, size: int, labels: tuple[str, ...]) -> Part:
    """A part of a random texture with distractors and with these defects."""
    texture = TEXTURES[str(rng.choice(sorted(TEXTURES)))]
    surface = distracted(texture(rng, size), rng)
    mask = np.zeros((size, size), np.uint8)
    for label in sorted(labels):
        surface, where = DEFECTS[label](surface, rng)
        mask[where] = CLASSES.index(label) + 1
    return Part(dusty(surface, rng), mask)


# --- distractors -------------------------------------------------------------------------------------------


def distracted(surface: Surface, rng: np.random.Generator) -> Surface:
    """With stains, a step, tooling grooves and a printed mark, each by its own chance."""
    for chance, distractor in ((0.5, stained), (0.35, stepped), (0.6, grooved), (0.3, printed)):
        if rng.random() < chance:
            surface = distractor(surface, rng)
    return surface


def stained(surface: Surface, rng: np.random.Generator) -> Surface:
    """Dried drops and smears: colour only, dark or bright, soft or with a rim; the relief is untouched."""
    albedo = surface.albedo
    for _ in range(rng.integers(1, 4)):
        blob = _blob(rng, surface.size, rng.uniform(8, 30), roughness=0.25)
        cover = expit(blob / rng.uniform(0.6, 3.0))
        rim = rng.uniform(0, 0.12) * np.exp(-((blob / 1.5) ** 2))
        change = rng.choice([-1, -1, 1]) * rng.uniform(0.12, 0.4) * cover - rim
        tint = 1 + rng.uniform(-0.12, 0.12, 3)
        albedo = albedo * (1 + change[..., None] * tint)
    return replace(surface, albedo=albedo.clip(0.02, 0.98).astype(np.float32))


def stepped(surface: Surface, rng: np.random.Generator) -> Surface:
    """A machined edge: a straight step, one side a little darker."""
    _, side = _frame(rng, surface.size)
    step = np.tanh(side / 1.2)
    albedo = surface.albedo * (1 - rng.uniform(0.05, 0.22) * (side > 0))[..., None]
    height = surface.height + rng.uniform(0.8, 2.0) * step
    return replace(surface, height=height.astype(np.float32), albedo=albedo.astype(np.float32))


def grooved(surface: Surface, rng: np.random.Generator) -> Surface:
    """Marks of the tool: straight or gently curved parallel grooves at regular distances."""
    along, across = _frame(rng, surface.size, aside=True)
    distance = across + rng.uniform(0, 0.004) * along**2
    spacing, count = rng.uniform(6, 13), rng.integers(3, 9)
    turn = np.round(distance / spacing)
    profile = np.exp(-(((distance - turn * spacing) / rng.uniform(0.7, 1.2)) ** 2)) * (
        np.abs(turn) <= count / 2
    )
    albedo = surface.albedo * (1 - rng.uniform(0.3, 0.65) * profile)[..., None]
    height = surface.height - rng.uniform(0.4, 1.0) * profile
    return replace(surface, height=height.astype(np.float32), albedo=albedo.astype(np.float32))


def printed(surface: Surface, rng: np.random.Generator) -> Surface:
    """A bar code in dark or white ink: bars of unequal width, worn."""
    along, across = _frame(rng, surface.size, aside=True)
    bars = np.repeat(rng.random(64) < 0.5, rng.integers(2, 5, 64))[: rng.integers(20, 50)]
    place = np.floor(across).astype(int)
    inside = (place >= 0) & (place < len(bars)) & (np.abs(along) < rng.uniform(6, 14))
    ink = ndimage.gaussian_filter((inside & bars[place.clip(0, len(bars) - 1)]).astype(np.float32), 0.5)
    cover = (rng.uniform(0.5, 0.85) * ink * expit(2 + 2 * noise(rng, surface.size, 1.5)))[..., None]
    colour = 0.9 if rng.random() < 0.3 else 0.05
    return replace(surface, albedo=surface.albedo * (1 - cover) + colour * cover)


def dusty(surface: Surface, rng: np.random.Generator) -> Surface:
    """Specks of dust: a pixel or two wide, bright or dark."""
    specks = np.zeros((surface.size, surface.size), np.float32)
    at = rng.integers(0, surface.size, (2, rng.integers(0, 16)))
    specks[tuple(at)] = rng.choice([-1.0, 1.0], at.shape[1]) * rng.uniform(1.0, 2.6, at.shape[1])
    albedo = surface.albedo * (1 + ndimage.gaussian_filter(specks, rng.uniform(0.5, 0.9)))[..., None]
    return replace(surface, albedo=albedo.clip(0.02, 0.98))


# --- defects -----------------------------------------------------------------------------------------------


def cracked(surface: Surface, rng: np.random.Generator) -> tuple[Surface, MaskArray]:
    """A thin winding groove, 1 to 3 px wide, with branches; deeper than half its depth is the mask."""
    points, widths = _crack_path(rng, surface.size)
    profile = _drawn(points, widths, surface.size)
    contrast = rng.uniform(0.35, 0.65)
    albedo = surface.albedo * (1 - contrast * profile)[..., None]
    height = surface.height - rng.uniform(0.8, 1.6) * profile
    return replace(surface, height=height.astype(np.float32), albedo=albedo.astype(np.float32)), profile > 0.5


def pitted(surface: Surface, rng: np.random.Generator) -> tuple[Surface, MaskArray]:
    """One to four holes of 3.2 to 6.5 px radius, uneven, shaded by the light, with a raised rim."""
    size = surface.size
    y, x = np.mgrid[:size, :size].astype(np.float32)
    height, albedo = surface.height.copy(), surface.albedo.copy()
    mask = np.zeros((size, size), np.bool_)
    centre = rng.uniform(0.2, 0.8, 2) * size
    for _ in range(rng.integers(1, 5)):
        cy, cx = (centre + rng.normal(0, 0.14 * size, 2)).clip(8, size - 8)
        radius, phase = rng.uniform(3.2, 6.5), rng.uniform(0, 2 * np.pi, 2)
        theta = np.arctan2(y - cy, x - cx)
        edge = radius * (1 + 0.16 * np.sin(2 * theta + phase[0]) + 0.08 * np.sin(3 * theta + phase[1]))
        inside = edge - np.hypot(y - cy, x - cx)
        bowl = expit(inside / 0.5)
        height = height * (1 - bowl) - rng.uniform(0.4, 0.8) * radius * (inside.clip(0) / radius) ** 0.5
        height += rng.uniform(0.5, 1.0) * np.exp(-(((inside + 0.8) / 0.9) ** 2))
        albedo *= (1 - rng.uniform(0.25, 0.55) * bowl)[..., None]
        mask |= inside > 0
    return replace(surface, height=height.astype(np.float32), albedo=albedo.astype(np.float32)), mask


def roughened(surface: Surface, rng: np.random.Generator) -> tuple[Surface, MaskArray]:
    """An irregular area where the surface has flaked: another relief, nearly the same mean brightness."""
    size = surface.size
    inside = _blob(rng, size, rng.uniform(14, 23), roughness=0.3)
    cover = expit(inside / 0.7)
    layers = 1.6 * noise(rng, size, 1.5) + 0.8 * noise(rng, size, 3.5)
    flakes = (np.round(layers) + 0.3 * noise(rng, size, 0.7)).astype(np.float32)
    flakes = ndimage.gaussian_filter(flakes, 0.5)
    height = surface.height * (1 - cover) + (rng.uniform(0.55, 0.9) * flakes - 0.3) * cover
    mean = ndimage.gaussian_filter(surface.albedo, (6, 6, 0))
    rough = mean * (1 + rng.uniform(-0.08, 0.08) + 0.07 * flakes)[..., None]
    albedo = surface.albedo * (1 - cover)[..., None] + rough * cover[..., None]
    return Surface(
        height.astype(np.float32), albedo.clip(0.02, 0.98).astype(np.float32), surface.gloss
    ), inside > 0


DEFECTS: Mapping[str, Callable[[Surface, np.random.Generator], tuple[Surface, MaskArray]]] = {
    "crack": cracked,
    "patch": roughened,
    "pit": pitted,
}


# --- shapes ------------------------------------------------------------------------------------------------


def _blob(rng: np.random.Generator, size: int, radius: float, roughness: float) -> FloatArray:
    """Signed distance (size, size), in about pixels, to the border of an irregular area; positive inside."""
    along, across = _frame(rng, size)
    reach = np.hypot(along, across / rng.uniform(0.6, 1.0))
    wobble = roughness * radius * noise(rng, size, 0.35 * radius)
    distance: FloatArray = radius - reach + wobble.clip(-0.5 * radius, 0.5 * radius)
    return distance


def _frame(rng: np.random.Generator, size: int, *, aside: bool = False) -> tuple[FloatArray, FloatArray]:
    """Coordinates (size, size) in pixels along and across a random line, from a point on it.

    The point lies in the middle part of the picture; with `aside`, a fifth to two fifths of the picture away
    from its centre, and the line no nearer.
    """
    y, x = np.mgrid[:size, :size].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    cos, sin = np.cos(angle), np.sin(angle)
    cx, cy = rng.uniform(0.2, 0.8, 2) * size
    if aside:
        distance = rng.uniform(0.2, 0.4) * size
        cx, cy = size / 2 - sin * distance, size / 2 + cos * distance
    return cos * (x - cx) + sin * (y - cy), cos * (y - cy) - sin * (x - cx)


def _crack_path(rng: np.random.Generator, size: int) -> tuple[FloatArray, FloatArray]:
    """Points (N, 2) half a pixel apart and half widths (N,) of a crack and its branches."""
    length, heading = rng.uniform(0.35, 0.75) * size, rng.uniform(0, 2 * np.pi)
    start = (
        size / 2
        + rng.uniform(-0.2, 0.2, 2) * size
        - length / 2 * np.array([np.sin(heading), np.cos(heading)])
    )
    width = rng.uniform(1.0, 1.5)
    trunk = _walk(rng, start, heading, length)
    branches = [(trunk, width * _taper(rng, len(trunk)))]
    for _ in range(rng.integers(0, 4)):
        at = rng.integers(len(trunk) // 6, len(trunk) - 2)
        turn = heading + rng.choice([-1, 1]) * rng.uniform(0.5, 1.1)
        twig = _walk(rng, trunk[at], turn, rng.uniform(0.12, 0.3) * size)
        branches.append((twig, 0.8 * width * _taper(rng, len(twig))))
    points, widths = zip(*branches, strict=True)
    return np.concatenate(points), np.concatenate(widths)


def _walk(
    rng: np.random.Generator, start: NDArray[np.float64], heading: float, length: float
) -> NDArray[np.float64]:
    steps = max(8, int(2 * length))
    jitter = ndimage.gaussian_filter1d(rng.normal(0, 1, steps), 4) * 1.8 + 0.25 * np.sin(
        np.linspace(0, rng.uniform(2, 9), steps)
    )
    angle = heading + jitter
    return start + 0.5 * np.cumsum(np.stack([np.sin(angle), np.cos(angle)], 1), 0)


def _taper(rng: np.random.Generator, points: int) -> NDArray[np.float64]:
    """Relative width (points,): uneven, and pointed at the end."""
    uneven = 1 + 0.8 * ndimage.gaussian_filter1d(rng.normal(0, 1, points), 5)
    tapered: NDArray[np.float64] = (uneven * np.linspace(1.1, 0.75, points)).clip(0.7, 1.6)
    return tapered


def _drawn(points: FloatArray, widths: FloatArray, size: int) -> FloatArray:
    """Line (size, size) through points: 1 in the middle, a half at half its width."""
    reach = np.mgrid[-4:5, -4:5].reshape(2, 1, -1)
    centre = np.round(points.T).astype(int)[:, :, None]
    pixels = centre + reach
    squared = ((pixels - points.T[:, :, None]) ** 2).sum(0)
    value = np.exp(-np.log(2) * squared / widths[:, None] ** 2)
    inside = ((pixels >= 0) & (pixels < size)).all(0)
    line = np.zeros((size, size), np.float32)
    np.maximum.at(line, (pixels[0][inside], pixels[1][inside]), value[inside])
    return line


# --- files -------------------------------------------------------------------------------------------------


def save_image(path: Path, picture: FloatArray) -> None:
    """Write a picture (H, W, 3) in [0, 1] as 8-bit JPEG or PNG."""
    content = BytesIO()  # into a file, Pillow cuts off a JPEG without a word where the disk is full
    kind = "PNG" if path.suffix == ".png" else "JPEG"
    image = Image.fromarray(np.round(picture * 255).astype(np.uint8))
    image.save(content, kind, quality=95, subsampling=0)
    write_bytes(path, content.getbuffer())


def save_mask(path: Path, mask: NDArray[np.uint8]) -> None:
    """Write a mask (H, W) as 8-bit grey PNG whose value is the class."""
    with whole(path) as part:
        Image.fromarray(mask).save(part)
