"""The code in docs runs as it stands there, and what the pages show was made by it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from make_pages import MADE, Page, pages

import relmask
from relmask.lrp.operators import OPERATORS
from relmask.synthetic import surfaces, worlds
from relmask.training import plan
from relmask.training.loop import Schedule
from relmask.training.train import train

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
def _small(monkeypatch: pytest.MonkeyPatch, short_epochs: None) -> None:
    """Worlds are small, trainings short, and gates let defects through for all that."""

    def smaller(write: Callable[..., None], images: int, size: int) -> Callable[..., None]:
        return lambda folder, **asked: write(folder, images=images, size=size)

    def short(**asked: Any) -> Schedule:  # noqa: ANN401
        return Schedule(**{**asked, "epochs": 1, "steps": 40, "patience": 1})

    def lenient(*places: Path, **asked: Any) -> relmask.Run:  # noqa: ANN401
        return train(*places, **{**asked, "false_alarms": 0.3})

    monkeypatch.setattr(plan, "Schedule", short)
    monkeypatch.setattr(relmask, "train", lenient)
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
