"""The sets of the portfolio: where their pictures come from, how they are split, what training is told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import textures
from relmask.cli.demo import FALSE_ALARMS
from relmask.data.index import read_index
from relmask.data.splits import Split, assign
from relmask.synthetic.surfaces import write_surfaces
from relmask.synthetic.worlds import cracked_roads, meat_going_off, spotted_cloth, stained_cells

Source = Callable[[Path, Path, int], Path]
"""(folder of real sets, folder of generated ones, seed) -> DATA."""


@dataclass(frozen=True)
class PortfolioSet:
    """A set of pictures, and how it is learned from.

    Attributes:
        about: what the pictures are, for the page.
        source: gives DATA.
        resplit: draw a split in place of DATA's own.
        draw: seed of that draw, whatever the seed of the training; None: the seed of the training.
        settings: what differs from the defaults of `relmask compare`.
    """

    about: str
    source: Source
    resplit: Literal["grouped", "random"] | None = None
    draw: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def split(self, data: Path, made: Path, seed: int) -> Split:
        """The samples with their split, the same for every method.

        Args:
            data: folder of the real sets.
            made: folder of the generated ones; what is missing there is made.
            seed: seed of the training.
        """
        return assign(
            read_index(self.source(data, made, seed)),
            seed=seed if self.draw is None else self.draw,
            resplit=self.resplit,
            for_labels="patches" not in self.settings,
        )


def stored(name: str) -> Source:
    """A set of the folder of real ones."""
    return lambda data, made, seed: data / name


def generated(name: str, write: Callable[[Path], None]) -> Source:
    """A set that is made once, the same pictures each time; a writer's index.csv is its last file."""

    def source(data: Path, made: Path, seed: int) -> Path:
        folder = made / name
        if not (folder / "index.csv").is_file():
            write(folder)
        return folder

    return source


def demo_pictures(data: Path, made: Path, seed: int) -> Path:
    """The pictures that `relmask demo --seed` makes."""
    return generated(f"demo-{seed}", partial(write_surfaces, images=360, seed=seed))(data, made, seed)


CRACKS: Mapping[str, Any] = {
    "backbone": "vgg-narrow",
    "patches": 96,
    "batch_size": 32,
    "precision": "bf16-mixed",
}

SETS: dict[str, PortfolioSet] = {
    "tile": PortfolioSet(
        "grey photographs of magnetic tiles, five kinds of defect; the data's own grouped split",
        stored("magnetic-tile"),
    ),
    "tile-grouped-1": PortfolioSet(
        "the same pictures, a grouped split drawn with seed 1", stored("magnetic-tile"), "grouped", 1
    ),
    "tile-grouped-2": PortfolioSet(
        "the same pictures, a grouped split drawn with seed 2", stored("magnetic-tile"), "grouped", 2
    ),
    "tile-random": PortfolioSet(
        "the same pictures, a random split as in published figures: leaky, the same tile is in training too",
        stored("magnetic-tile"),
        "random",
        0,
    ),
    "crackforest": PortfolioSet(
        "photographs of roads with thin cracks, learned from labelled patches of 96 px, judged whole; "
        "no clean picture",
        stored("crackforest"),
        settings=CRACKS,
    ),
    "coffee": PortfolioSet("coffee leaves, four kinds of damage, in colour", stored("coffee")),
    "wbc": PortfolioSet("white blood cells of four kinds; no clean class", stored("wbc")),
    "demo": PortfolioSet(
        "what `relmask demo` makes: 360 parts with cracks, pits and patches",
        demo_pictures,
        settings={"false_alarms": FALSE_ALARMS},
    ),
    "parts": PortfolioSet(
        "the [machined parts](examples/parts.md): 240 of the same kind, seen at 160 px",
        generated("parts", partial(write_surfaces, images=240)),
        settings={"size": 160, "false_alarms": 0.03},
    ),
    **{
        name: PortfolioSet(
            f"crops of a photograph of {name} with drawn scratches, smears and holes",
            generated(name, partial(textures.write_set, name)),
        )
        for name in textures.PHOTOGRAPHS
    },
    "prints": PortfolioSet(
        "drawn caps with a print, with chips, stains and scratches",
        generated("prints", partial(textures.write_set, textures.PRINTS)),
    ),
    "cells": PortfolioSet(
        "the [stained cells](examples/cells.md), five kinds, none clean",
        generated("cells", partial(stained_cells, images=160, size=128)),
        settings={"size": 128, "false_alarms": 0.05},
    ),
    "meat": PortfolioSet(
        "the [meat](examples/meat.md): stages that differ in colour",
        generated("meat", partial(meat_going_off, images=160, size=128)),
        settings={"size": 128, "false_alarms": 0.03},
    ),
    "roads": PortfolioSet(
        "the [roads](examples/roads.md) with thin cracks, learned from patches of 64 px, judged whole",
        generated("roads", partial(cracked_roads, images=64, size=320)),
        settings={"backbone": "vgg-narrow", "patches": 64},
    ),
    "roads-whole": PortfolioSet(
        "the same roads in 256 px, learned from labels of whole pictures, clean ones among them",
        generated("roads-whole", partial(cracked_roads, images=240)),
        settings={"false_alarms": 0.03},
    ),
    "cloth": PortfolioSet(
        "six weaves with spots of 3 to 8 px",
        generated("cloth", partial(spotted_cloth, images=240)),
        settings={"false_alarms": 0.03},
    ),
}

TEXTURES = tuple(textures.PHOTOGRAPHS)
"""The sets that `--set textures` names together."""
