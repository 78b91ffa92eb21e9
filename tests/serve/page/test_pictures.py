from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from relmask.data.reading import Intensity
from relmask.inference.explained import ExplainedClassifier
from relmask.inference.run import Run
from tests.browser import drop, opened
from tests.serve.conftest import RED, eventually, picture, serving
from tests.serve.page.conftest import done, option


def test_a_dropped_folder_is_segmented_and_what_is_broken_says_why(page: Page, folder: Path) -> None:
    drop(page, str(folder))
    done(page, "4 of 4 done, 1 failed")
    expect(option(page, "new parts/left/red.png, red stain")).to_be_visible()
    expect(option(page, "new parts/left/clean.png, clean")).to_be_visible()
    expect(option(page, "new parts/right/both.png, red stain, green")).to_be_visible()
    broken = option(page, "new parts/right/broken.png, The file is no picture in a known format")
    expect(broken).to_be_visible()
    page.get_by_role("radio", name="Failed").check()
    expect(page.locator("#list > *")).to_have_count(1)
    broken.click()
    expect(page.get_by_role("button", name="Accept")).to_be_disabled()
    expect(page.locator("#view-note")).to_contain_text("is no picture")


def test_a_turned_picture_and_its_mask_lie_on_each_other(page: Page, tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(picture(RED, 40, 70)).save(tmp_path / "a.jpg", exif=turned, quality=95)
    drop(page, str(tmp_path / "a.jpg"))
    done(page, "1 of 1 done")
    expect(page.locator("#parts")).to_contain_text("40 \u00d7 70 px")
    assert page.evaluate("[picture.naturalWidth, picture.naturalHeight]") == [40, 70]


def test_a_picture_of_16_bits_is_shown_as_the_model_sees_it(
    browser: Browser, colours: Run, tmp_path: Path
) -> None:
    spec = colours.metadata.input.model_copy(update={"intensity": Intensity(low=0, high=1000)})
    model = ExplainedClassifier(colours.model.network, spec, "epsilon_plus", colours.model.device)
    run = Run(colours.path, colours.metadata.model_copy(update={"input": spec}), model)
    deep = np.full((32, 32), 900, np.uint16)  # of 65535 almost black
    Image.fromarray(deep).save(tmp_path / "deep.png")
    with serving(run) as client, opened(browser, str(client.base_url)) as page:
        drop(page, str(tmp_path / "deep.png"))
        done(page, "1 of 1 done")
        eventually(lambda: abs(shade(page) - 0.9 * 255) < 3)


def shade(page: Page) -> float:
    """How bright the image is that is shown."""
    value: float = page.evaluate(
        """() => {
          const canvas = new OffscreenCanvas(1, 1).getContext("2d");
          canvas.drawImage(document.getElementById("picture"), 0, 0, 1, 1);
          return canvas.getImageData(0, 0, 1, 1).data[0];
        }"""
    )
    return value


def test_pictures_that_browsers_cannot_show_are_shown_all_the_same(page: Page, tmp_path: Path) -> None:
    Image.fromarray(picture(RED)).save(tmp_path / "a.tif")
    drop(page, str(tmp_path / "a.tif"))
    done(page, "1 of 1 done")
    expect(page.locator("#verdict")).to_have_text("red stain")
    page.wait_for_timeout(100)
    assert page.evaluate("[picture.naturalWidth, picture.naturalHeight]") == [32, 32]
