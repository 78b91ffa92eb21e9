"""A browser, the page of a run of colours in it, and pictures to drop on it."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

import relmask.formats
from relmask.inference.run import Run
from tests.browser import PATIENCE, SOON, chromium, opened
from tests.serve.conftest import GREEN, RED, picture, png, serving


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, colours: Run) -> Iterator[Page]:
    """The page of the run of colours."""
    with serving(colours) as client, opened(browser, str(client.base_url)) as page:
        yield page


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures in two folders, one broken, and a file that is none."""
    root = tmp_path / "new parts"
    (root / "left").mkdir(parents=True)
    (root / "right").mkdir()
    (root / "left" / "red.png").write_bytes(png(picture(RED, 40, 70)))
    (root / "left" / "clean.png").write_bytes(png(picture()))
    (root / "right" / "both.png").write_bytes(png(picture(RED | GREEN)))
    (root / "right" / "broken.png").write_bytes(b"no picture")
    (root / "right" / "notes.txt").write_text("no picture either")
    return root


def done(page: Page, text: str) -> None:
    expect(page.locator("#progress-text")).to_have_text(text, timeout=3 * SOON)


def ended(page: Page) -> str:
    """What the page says once no image is at work any more: all are done, or have failed."""
    page.locator("#progress-box.complete").wait_for(timeout=PATIENCE)
    return page.locator("#progress-text").inner_text()


def option(page: Page, name: str) -> Locator:
    return page.get_by_role("option", name=name)


def masks_of(page: Page, format_name: str, into: Path) -> relmask.formats.Annotations:
    """What the download of the accepted holds, unpacked and read by the library."""
    page.get_by_role("combobox", name="Format").select_option(format_name)
    button = page.get_by_role("button", name="Download")
    with page.expect_download(timeout=PATIENCE) as download:
        button.click()  # it is disabled until the masks are there, or an error is
        page.locator("#download:enabled").wait_for(timeout=PATIENCE)
        expect(page.locator("#toast.wrong")).to_have_count(0)
    archive = into / download.value.suggested_filename
    download.value.save_as(archive)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(into / format_name)
    return relmask.formats.read(into / format_name)
