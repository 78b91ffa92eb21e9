"""A real browser, driven by Playwright: Debian's chromium, or the one that RELMASK_CHROMIUM names."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
SOON = 20_000
"""Milliseconds in which a page has reacted, on a loaded machine, too."""
PATIENCE = 600_000
"""Milliseconds after which a page that says neither that work is done nor that it failed counts as hung."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser; where there is none the test is skipped, in continuous integration it fails."""
    given = os.environ.get("RELMASK_CHROMIUM")
    found = given or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        missing = "no browser here: install chromium, or name one in RELMASK_CHROMIUM"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    expect.set_options(timeout=SOON)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Browser,
    url: str,
    *,
    width: int = 1280,
    scheme: Literal["light", "dark"] = "light",
    scripts: bool = True,
) -> Iterator[Page]:
    """The page at an address, alone in the browser; script errors and foreign requests fail the test."""
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, java_script_enabled=scripts
    )
    context.set_default_timeout(3 * SOON)
    page = context.new_page()
    errors: list[str] = []
    foreign: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: None if own(request.url, url) else foreign.append(request.url))
    page.goto(url)
    yield page
    context.close()
    assert not errors
    assert not foreign


def own(address: str, url: str) -> bool:
    """Does an address lead to the server itself, or nowhere?"""
    server = url.partition("/#")[0]
    return address.startswith((server, "blob:", "data:"))


def drop(page: Page, *paths: str) -> None:
    """Drop files or folders of the disk on the page, as a person does from a file manager."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": list(paths), "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 640, "y": 400, "data": data})
