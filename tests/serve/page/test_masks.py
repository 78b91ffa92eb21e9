from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, expect

import relmask.formats
from relmask.inference.segmenter import Segmenter
from relmask.masks.binarise import combine
from relmask.masks.thresholds import ClassThresholds
from relmask.serve import Limits, Settings
from tests.browser import drop, opened
from tests.serve.conftest import CLASSES, RED, picture, png, seeing_colours, serving
from tests.serve.page.conftest import done, ended, masks_of, option


def test_masks_in_the_browser_are_those_of_the_library(page: Page) -> None:
    rng = np.random.default_rng(0)
    cases: list[dict[str, Any]] = []
    expected = []
    for number in range(80):
        height, width = (int(value) for value in rng.integers(1, 24, 2))
        shape = (height, width)
        maps = {k: smooth_noise(rng, shape) for k in range(int(rng.integers(0, 4)))}
        thresholds = {
            k: ClassThresholds(
                clean_median=0,
                clean_spread=1,
                gate=0,
                level=float(rng.uniform(0.02, 1.2)),
                slope=1,
                offset=0,
                min_area=int(rng.choice([0, 0, 2, 9])),
            )
            for k in maps
        }
        if number == 0:
            maps, thresholds = {}, {}
        expected.append(combine(maps, thresholds, shape))
        cases.append(
            {
                "width": width,
                "height": height,
                "maps": [[k, values.ravel().tolist()] for k, values in maps.items()],
                "thresholds": [[k, chosen.model_dump()] for k, chosen in thresholds.items()],
            }
        )
    found = page.evaluate(
        """async (cases) => {
          const { combine, toRuns } = await import("/static/masks.js");
          return cases.map(({ width, height, maps, thresholds }) => {
            const floats = new Map(maps.map(([k, values]) => [k, Float32Array.from(values)]));
            const mask = combine(floats, width, height, new Map(thresholds));
            return [Array.from(mask), [1, 2, 3].map((value) => toRuns(mask, width, height, value))];
          });
        }""",
        cases,
    )
    assert sum(mask.any() for mask in expected) > 40
    assert sum(len(np.unique(mask)) > 2 for mask in expected) > 10
    for mask, (values, runs) in zip(expected, found, strict=True):
        assert np.array_equal(np.reshape(values, mask.shape), mask)
        for value, text in enumerate(runs, start=1):
            lengths = relmask.formats.runs.from_text(text)
            inside = relmask.formats.runs.drawn(lengths, mask.shape[::-1]).T
            assert np.array_equal(inside, mask == value)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Noise with ties and plateaus, partly negative."""
    values = rng.normal(size=shape).astype(np.float32)
    return np.round(values, 1) if rng.random() < 0.5 else values


def test_sliders_move_the_mask_at_once_and_back(page: Page, folder: Path) -> None:
    drop(page, str(folder / "right" / "both.png"))
    done(page, "1 of 1 done")
    parts = page.locator("#parts")
    expect(parts).to_have_text("Mask: 2 parts, 76 px, 7.4 % of 32 \u00d7 32 px.")
    page.get_by_role("combobox", name="Class").select_option("green")
    page.get_by_role("spinbutton", name="Minimum area").fill("17")
    expect(parts).to_have_text("Mask: 1 part, 60 px, 5.9 % of 32 \u00d7 32 px.")
    expect(page.locator("#changed")).to_be_visible()
    page.get_by_role("button", name="Reset", exact=True).click()
    expect(parts).to_have_text("Mask: 2 parts, 76 px, 7.4 % of 32 \u00d7 32 px.")
    page.get_by_role("combobox", name="Class").select_option("red stain")
    level = page.get_by_role("slider", name="Level")
    level.focus()
    level.press("End")  # nothing is above the highest that was seen
    expect(parts).to_have_text("Mask: 1 part, 16 px, 1.6 % of 32 \u00d7 32 px.")
    expect(page.locator("#verdict")).to_have_text("green")
    level.press("Home")
    expect(parts).to_have_text("Mask: 2 parts, 76 px, 7.4 % of 32 \u00d7 32 px.")


@pytest.mark.parametrize("format_name", list(relmask.formats.FORMATS))
def test_the_accepted_are_downloaded_as_the_sliders_leave_them(
    page: Page, folder: Path, tmp_path: Path, format_name: str
) -> None:
    drop(page, str(folder))
    done(page, "4 of 4 done, 1 failed")
    for name in ("red.png", "both.png", "clean.png"):
        option(page, name).click()
        page.keyboard.press("a")
    option(page, "red.png").click()
    page.keyboard.press("r")
    page.get_by_role("combobox", name="Class").select_option("green")
    page.get_by_role("spinbutton", name="Minimum area").fill("17")
    expect(page.locator("#export-note")).to_have_text("2 images accepted.")
    found = masks_of(page, format_name, tmp_path)
    masks = {
        annotation.image.rpartition("/")[2].partition(".")[0]: annotation for annotation in found.pictures
    }
    assert set(masks) == {"both", "clean"}
    drawn = masks["both"].draw(CLASSES, (32, 32))
    assert np.array_equal(drawn, picture(RED)[..., 0] // 255)
    assert not masks["clean"].draw(CLASSES, (32, 32)).any()


def test_a_picture_of_30_megapixels_is_shown_smaller_and_masked_whole(
    browser: Browser, tmp_path: Path
) -> None:
    run = seeing_colours(tmp_path / "run", windows=False)
    large = picture({0: (slice(1000, 2300), slice(500, 3100))}, 5000, 6000)
    (tmp_path / "large.png").write_bytes(png(large))
    settings = Settings(port=0, limits=Limits(seconds=3600))  # a loaded machine is slow, and that is no fault
    with serving(run, settings) as client, opened(browser, str(client.base_url)) as page:
        drop(page, str(tmp_path / "large.png"))
        assert ended(page) == "1 of 1 done"
        expect(page.locator("#parts")).to_contain_text("Mask: about 1 part")
        expect(page.locator("#parts")).to_contain_text("6000 \u00d7 5000")
        page.wait_for_function("picture.complete")
        assert page.evaluate("[picture.naturalWidth, picture.naturalHeight]") == [6000, 5000]
        page.get_by_role("spinbutton", name="Level").fill("0.8")
        page.keyboard.press("Tab")
        page.get_by_role("button", name="Accept").click()
        [annotation] = masks_of(page, "png", tmp_path).pictures
    calibration = run.segmenter.calibration
    classes = {
        name: chosen.model_copy(update={"level": 0.8} if name == "red stain" else {})
        for name, chosen in calibration.classes.items()
    }
    changed = Segmenter(run.model, CLASSES, calibration.model_copy(update={"classes": classes}))
    [expected] = [found.mask for found in changed.segment_images([run.read(tmp_path / "large.png")])]
    assert 0 < np.count_nonzero(expected) < 1300 * 2600  # the run's own thresholds let it reach further
    assert np.array_equal(annotation.draw(CLASSES), expected)
