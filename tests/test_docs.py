"""The code in docs runs as it stands there, and what the pages show was made by it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_pages import DOCS, MADE, Page, pages

import relmask
from relmask import calibration, masks
from relmask.lrp.operators import OPERATORS
from relmask.masks.settings import MaskSettings
from relmask.record import Record
from relmask.synthetic import surfaces, worlds
from relmask.training.train import train
from tests.effort import LITTLE

PAGES = list(pages())

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@pytest.fixture
def _unregistered() -> Iterator[None]:
    """What a page registers is gone afterwards."""
    known = dict(OPERATORS)
    yield
    OPERATORS.clear()
    OPERATORS.update(known)


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worlds are small, trainings short, and gates let defects through for all that."""

    def smaller(write: Callable[..., None], images: int, size: int) -> Callable[..., None]:
        return lambda folder, **asked: write(folder, images=images, size=size)

    def short(*places: Path, **asked: Any) -> relmask.Run:  # noqa: ANN401
        effort = replace(LITTLE, steps=40)
        return train(*places, **{**asked, "epochs": 1, "false_alarms": 0.3, "effort": effort})

    monkeypatch.setattr(relmask, "train", short)
    monkeypatch.setattr(surfaces, "write_surfaces", smaller(surfaces.write_surfaces, 64, 96))
    for name, images, size in (
        ("stained_cells", 40, 96),
        ("meat_going_off", 40, 96),
        ("cracked_roads", 20, 128),
    ):
        monkeypatch.setattr(worlds, name, smaller(getattr(worlds, name), images, size))


@each_page
@pytest.mark.usefixtures("_unregistered", "_small")
def test_the_code_of_a_page_runs_and_leaves_what_the_page_shows(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    left = page.run()
    assert set(page.shows) <= set(left)
    assert all(left[name] for name in page.shows)


@each_page
def test_what_a_page_shows_was_made_by_its_code(page: Page) -> None:
    assert page.current, f"run python docs/make_pages.py {page.name}, look at the page, and commit docs/made"


def test_pictures_and_prints_are_small_and_all_shown() -> None:
    kept = {path.name for path in MADE.iterdir()} - {"made.json"}
    assert kept == {name for page in PAGES for name in page.shows}
    assert all((MADE / name).stat().st_size < 300_000 for name in kept)


def test_the_architecture_names_every_room_and_files_that_are_there() -> None:
    source, rooms = DOCS.parent / "src" / "relmask", set()
    for line in (DOCS / "architecture.md").read_text(encoding="utf-8").splitlines():
        if room := re.match(r"\| `(\w+)/` \|", line):
            rooms.add(room[1])
        for name in re.findall(r"`((?:\w+/)*\w+\.py)`", line):
            folder = DOCS.parent if name.startswith("tests/") else source / room[1] if room else source
            assert (folder / name).is_file(), f"{name} is not in {folder}"
    assert rooms == {path.parent.name for path in source.glob("*/__init__.py")}


def test_decisions_state_the_values_that_the_code_has() -> None:
    stated = constants_of(DOCS / "decisions.md")
    have = {name: in_words(value_of(name)) for name in stated}
    assert stated == have


def test_every_number_of_the_mask_stage_has_a_decision() -> None:
    numbers = set()
    for room in (masks, calibration):
        for path in Path(room.__path__[0]).glob("*.py"):
            for constant in re.findall(r"(?m)^([A-Z_]+) = ", path.read_text(encoding="utf-8")):
                name = f"{room.__name__.removeprefix('relmask.')}.{path.stem}.{constant}"
                if np.ndim(value_of(name)) < 2 and not isinstance(value_of(name), str):
                    numbers.add(name)
    assert {"masks.support.FITTED", "calibration.from_labels.OTSU"} <= numbers
    numbers |= {f"masks.settings.MaskSettings.{field}" for field in MaskSettings.model_fields}
    assert numbers - set(constants_of(DOCS / "decisions.md")) == set()


def constants_of(page: Path) -> dict[str, str]:
    """Constants that a page states: rows that begin with `module.NAME`, or `module.Record.field`, | value."""
    name = r"[\w.]+\.(?:[A-Z_]+|[A-Z]\w+\.\w+)"
    return dict(re.findall(rf"(?m)^\| `({name})` \| ([^|]+) \|", page.read_text(encoding="utf-8")))


def value_of(name: str) -> Any:  # noqa: ANN401
    module, _, constant = name.rpartition(".")
    above, _, record = module.rpartition(".")
    if record[:1].isupper():
        kind = getattr(import_module(f"relmask.{above}"), record)
        return kind.model_fields[constant].default if issubclass(kind, Record) else getattr(kind, constant)
    return getattr(import_module(f"relmask.{module}"), constant)


def in_words(value: Any) -> str:  # noqa: ANN401
    """As the page states a number, a few of them, a range, or what a record has but for its defaults."""
    if isinstance(value, Record):
        changed = value.model_dump(exclude_defaults=True)
        return ", ".join(f"{field} {in_words(one)}" for field, one in changed.items())
    many = np.atleast_1d(value)
    if len(many) > 3:
        return f"{many[0]:g} to {many[-1]:g} in {len(many)} steps"
    return ", ".join(f"{number:g}" for number in many)
