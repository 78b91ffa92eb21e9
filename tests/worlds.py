"""Small DATA folders that only tests need."""

from pathlib import Path

import numpy as np

from relmask.synthetic.surfaces import CLASSES, make_part, save_image
from relmask.synthetic.textures import photograph
from relmask.synthetic.worlds import Drawn, write_world


def two_defects(folder: Path, *, images: int = 64, size: int = 112, seed: int = 0) -> None:
    """Surfaces of which every second defective one has a crack and a pit at once."""
    kinds: tuple[tuple[str, ...], ...] = (
        (),
        ("crack", "pit"),
        (),
        ("crack",),
        ("crack", "pit"),
        (),
        ("pit",),
    )

    def draw(rng: np.random.Generator, number: int) -> tuple[str, Drawn]:
        labels = kinds[number % len(kinds)]
        part = make_part(rng, size, labels)
        return "|".join(labels) or "ok", (photograph(part.surface, rng), part.mask)

    write_world(folder, CLASSES, images, seed, draw)


def six_per_class(folder: Path, *, size: int = 112, seed: int = 0) -> None:
    """A sub-folder a class (ok, crack, pit) with six pictures each, no index or masks: a first try."""
    for kind, label in enumerate(("ok", "crack", "pit")):
        for number in range(6):
            rng = np.random.default_rng((seed, kind, number))
            part = make_part(rng, size, () if label == "ok" else (label,))
            save_image(folder / label / f"{number}.jpg", photograph(part.surface, rng))
