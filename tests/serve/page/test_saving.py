import errno
import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from relmask.inference.run import Run
from relmask.models.bundle import read_metadata
from tests.browser import drop, opened
from tests.serve.conftest import serving
from tests.serve.page.conftest import done


def test_thresholds_are_saved_to_the_run(page: Page, folder: Path, colours: Run) -> None:
    drop(page, str(folder / "left" / "red.png"))
    done(page, "1 of 1 done")
    page.get_by_role("spinbutton", name="Level").fill("0.45")
    page.get_by_role("button", name="Save to the run").click()
    expect(page.locator("#toast")).to_have_text("Thresholds saved to the run.")
    expect(page.locator("#save-note")).to_contain_text("moved by hand")
    expect(page.get_by_role("button", name="Save to the run")).to_be_disabled()
    written = read_metadata(colours.path).calibration
    assert written is not None
    assert written.by_hand
    assert written.classes["red stain"].level == 0.45
    assert written.classes["green"].level == 0.3


def test_what_could_not_be_saved_stays_said(
    page: Page, folder: Path, colours: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    drop(page, str(folder / "left" / "red.png"))
    done(page, "1 of 1 done")
    page.get_by_role("spinbutton", name="Level").fill("0.45")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        page.get_by_role("button", name="Save to the run").click()
        expect(page.locator("#save-note")).to_contain_text("cannot be written (Read-only file system)")
        expect(page.locator("#toast")).to_contain_text("The thresholds are not saved")
    expect(page.locator("#changed")).to_be_visible()  # the person's choice is still there, to be saved again
    page.get_by_role("button", name="Save to the run").click()
    expect(page.locator("#save-note")).to_contain_text("moved by hand")


def test_the_page_of_a_student_shows_probabilities_and_that_masks_were_seen(
    browser: Browser, student: Run, folder: Path
) -> None:
    with serving(student) as client, opened(browser, str(client.base_url)) as page:
        drop(page, str(folder / "right" / "both.png"))
        done(page, "1 of 1 done")
        expect(page.locator("#parts")).to_have_text("Mask: 2 parts, 76 px, 7.4 % of 32 \u00d7 32 px.")
        expect(page.get_by_label("Probability")).to_be_checked()
        expect(page.locator("#map-note")).to_contain_text("Heatmap of red stain: the redder a pixel")
        expect(page.locator("#save-note")).to_contain_text("True masks helped to train the run")
        expect(page.locator("#level-help")).to_contain_text("probability is above the level")
        level = page.get_by_role("slider", name="Level")
        level.focus()
        level.press("End")  # of a probability, that is certainty, whatever was seen
        expect(page.get_by_role("spinbutton", name="Level")).to_have_value("1")
        inside, outside = page.evaluate(
            """() => {
              const canvas = document.getElementById("map").getContext("2d");
              return [[12, 3], [30, 30]].map(([x, y]) => [...canvas.getImageData(x, y, 1, 1).data]);
            }"""
        )
        page.get_by_role("combobox", name="Class").select_option("red stain")
    assert inside[0] > 200  # red, in full colour
    assert inside[3] > 250
    assert outside[3] < 20


def test_the_page_of_labels_alone_says_so(page: Page, folder: Path) -> None:
    drop(page, str(folder / "left" / "red.png"))
    done(page, "1 of 1 done")
    expect(page.locator("#save-note")).to_contain_text("the run comes from labels alone")
    expect(page.get_by_label("Relevance")).to_be_checked()
    expect(page.get_by_role("listitem").filter(has_text="green")).to_have_attribute(
        "title", "Gate: 50\u00a0%"
    )
