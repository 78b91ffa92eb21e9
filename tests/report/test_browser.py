"""The page as a person meets it: in a real browser."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from relmask.report import Picture, cards, facts, gallery, matrix, table, write_report
from tests.browser import chromium, opened

VIEWS = ("picture", "relevance", "mask")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Address of a page with every kind of section that can be too wide, and two galleries."""
    views = {name: np.full((40, 60, 3), 80 * number, np.uint8) for number, name in enumerate(VIEWS)}
    pictures = [Picture(f"folder/{'long_name' * 9}_{number}.png", views) for number in range(3)]
    long = "an uncommonly_long_value_without_a_single_space_in_it" * 2
    names = [f"class number {number}" for number in range(9)]
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(
        path,
        "run",
        [
            cards("Cards", {name: (0.5, "of all pictures") for name in names}),
            table("Table", names, [[name] * 9 for name in names]),
            matrix("Matrix", {row: dict.fromkeys(names, 1) for row in names}, rows="label", columns="said"),
            facts("Facts", {"Command": long}),
            gallery("Worst", pictures),
            gallery("Others", pictures[:1]),
        ],
    )
    return path.as_uri()


@pytest.fixture
def page(browser: Browser, report: str) -> Iterator[Page]:
    """The page; a message on the console fails the test, such as one of the content security policy."""
    with opened(browser, report) as page:
        messages: list[str] = []
        page.on("console", lambda message: messages.append(message.text))
        page.reload()
        yield page
        assert not messages


def galleries(page: Page) -> tuple[Locator, Locator]:
    return page.locator(".gallery").nth(0), page.locator(".gallery").nth(1)


def slider(gallery: Locator) -> Locator:
    return gallery.get_by_role("slider")


def shown(gallery: Locator) -> set[str]:
    """The views that lie uppermost and opaque, over all pictures of a gallery."""
    top = gallery.locator(".views").evaluate_all(
        """all => all.map(views => {
             const opaque = view => getComputedStyle(view).opacity === "1";
             const seen = [...views.querySelectorAll(".view")].filter(opaque);
             return seen.at(-1).querySelector("span").textContent;
           })"""
    )
    return set(top)


def test_the_keyboard_moves_all_pictures_of_one_gallery(page: Page) -> None:
    first, second = galleries(page)
    assert shown(first) == {"relevance"}
    slider(first).press("End")
    assert shown(first) == {"mask"}
    expect(slider(first)).to_have_attribute("aria-valuetext", "mask")
    slider(first).press("Home")
    assert shown(first) == {"picture"}
    assert shown(second) == {"relevance"}


def test_between_two_stops_one_view_fades_into_the_next(page: Page) -> None:
    first, _ = galleries(page)
    for _ in range(5):
        slider(first).press("ArrowRight")
    opacity = first.locator(".view").evaluate_all("all => all.map(view => getComputedStyle(view).opacity)")
    assert opacity == ["1", "1", "0.5"] * 3
    expect(slider(first)).to_have_attribute("aria-valuetext", "between relevance and mask")


def test_the_mouse_drags_the_slider_and_clicks_the_names(page: Page) -> None:
    first, _ = galleries(page)
    slider(first).scroll_into_view_if_needed()
    box = slider(first).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    assert shown(first) == {"mask"}
    first.get_by_role("button", name="picture").click()
    assert shown(first) == {"picture"}
    expect(first.get_by_role("button", name="picture")).to_have_attribute("aria-pressed", "true")
    expect(slider(first)).to_have_value("0")


def test_side_by_side_shows_all_views_and_back(page: Page) -> None:
    first, _ = galleries(page)
    first.get_by_role("checkbox", name="side by side").check()
    assert lies_side_by_side(first)
    expect(slider(first)).to_be_disabled()
    first.get_by_role("checkbox", name="side by side").uncheck()
    assert not lies_side_by_side(first)


def lies_side_by_side(gallery: Locator) -> bool:
    """No view hides another, and all are opaque."""
    corners = gallery.locator(".view").evaluate_all(
        """all => all.map(view => {
             const box = view.getBoundingClientRect();
             return [Math.round(box.x), Math.round(box.y), getComputedStyle(view).opacity];
           })"""
    )
    return len({(x, y) for x, y, _ in corners}) == len(corners) and {o for *_, o in corners} == {"1"}


def test_without_scripts_the_views_lie_side_by_side(browser: Browser, report: str) -> None:
    with opened(browser, report, scripts=False) as page:
        first, _ = galleries(page)
        expect(first.get_by_role("slider")).to_be_hidden()
        corners = [view.bounding_box() for view in first.locator(".view").all()]
        assert len({(box["x"], box["y"]) for box in corners if box}) == 9
        for name in VIEWS:
            expect(first.locator(".view", has_text=name).first).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_narrow_screen_needs_no_scrolling_sideways(browser: Browser, report: str, scripts: bool) -> None:
    with opened(browser, report, width=360, scripts=scripts) as page:
        session = page.context.new_cdp_session(page)
        assert session.send("Page.getLayoutMetrics")["cssContentSize"]["width"] == 360


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
def test_the_page_follows_the_colour_scheme(
    browser: Browser, report: str, scheme: Literal["light", "dark"], is_dark: bool
) -> None:
    with opened(browser, report, scheme=scheme) as page:
        for what in ("body", "section"):
            ground, ink = page.locator(what).first.evaluate(
                "it => [getComputedStyle(it).backgroundColor, getComputedStyle(it).color]"
            )
            assert (brightness(ground) < brightness(ink)) == is_dark


def brightness(colour: str) -> int:
    """Sum of the channels of `rgb(r, g, b)`."""
    return sum(int(channel) for channel in colour.removeprefix("rgb(").removesuffix(")").split(","))
