import errno
import json
import os
import socket
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

import relmask.formats
from relmask.data.reading import Intensity
from relmask.inference.explained import ExplainedClassifier
from relmask.inference.run import Run
from relmask.inference.segmenter import Segmenter
from relmask.masks.binarise import combine
from relmask.masks.thresholds import ClassThresholds
from relmask.models.bundle import read_metadata
from relmask.serve import Settings
from tests.browser import chromium, drop, opened
from tests.serve.conftest import CLASSES, GREEN, RED, eventually, picture, png, seeing_colours, serving


@pytest.fixture(scope="module")
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
    expect(page.locator("#progress-text")).to_have_text(text, timeout=60_000)


def option(page: Page, name: str) -> Locator:
    return page.get_by_role("option", name=name)


def masks_of(page: Page, format_name: str, into: Path) -> relmask.formats.Annotations:
    """What the download of the accepted holds, unpacked and read by the library."""
    page.get_by_role("combobox", name="Format").select_option(format_name)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    archive = into / download.value.suggested_filename
    download.value.save_as(archive)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(into / format_name)
    return relmask.formats.read(into / format_name)


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
                level_of="peak" if rng.random() < 0.5 else "absolute",
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


def test_sliders_move_the_mask_at_once_and_back(page: Page, folder: Path) -> None:
    drop(page, str(folder / "right" / "both.png"))
    done(page, "1 of 1 done")
    parts = page.locator("#parts")
    expect(parts).to_have_text("Mask: 2 parts, 76 px, 7.4 % of 32 \u00d7 32 px.")
    page.get_by_role("combobox", name="Class").select_option("green")
    page.get_by_role("spinbutton", name="Minimum area").fill("17")
    expect(parts).to_have_text("Mask: 1 part, 60 px, 5.9 % of 32 \u00d7 32 px.")
    expect(page.locator("#changed")).to_be_visible()
    page.get_by_role("button", name="Reset").click()
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


def test_decisions_are_made_with_the_keyboard_alone(page: Page, folder: Path) -> None:
    page.on("filechooser", lambda chooser: chooser.set_files(sorted(folder.rglob("*.png"))))
    expect(page.locator("#connection-text")).to_have_text("Connected")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "welcome-files":
            break
    page.keyboard.press("Enter")
    done(page, "4 of 4 done, 1 failed")
    assert page.evaluate("document.activeElement.id") == "list"
    live = page.locator("#live")
    page.get_by_role("combobox", name="Sort").select_option("name")
    page.keyboard.press("Shift+Tab")
    page.locator("#list").focus()
    page.keyboard.press("Home")
    expect(option(page, "both.png")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("a")
    expect(live).to_have_text("both.png accepted. Next: clean.png.")
    page.keyboard.press("r")
    expect(live).to_have_text("clean.png rejected. Next: red.png.")
    page.keyboard.press("k")
    expect(option(page, "clean.png")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("u")
    expect(live).to_have_text("clean.png undecided.")
    expect(page.locator("#count-accepted")).to_have_text("1")
    expect(page.locator("#count-rejected")).to_have_text("0")
    page.keyboard.press("m")
    expect(page.get_by_role("checkbox", name="Mask")).not_to_be_checked()
    page.get_by_role("radio", name="To review").check()  # which takes no letters: keys still work
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("a")  # is not for the page below
    page.keyboard.press("Escape")
    expect(page.locator("#count-accepted")).to_have_text("1")


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


def test_a_picture_of_30_megapixels_is_shown_smaller_and_masked_whole(
    browser: Browser, tmp_path: Path
) -> None:
    run = seeing_colours(tmp_path / "run", windows=False)
    large = picture({0: (slice(1000, 2300), slice(500, 3100))}, 5000, 6000)
    (tmp_path / "large.png").write_bytes(png(large))
    with serving(run) as client, opened(browser, str(client.base_url)) as page:
        drop(page, str(tmp_path / "large.png"))
        done(page, "1 of 1 done")
        expect(page.locator("#parts")).to_contain_text("Mask: about 1 part")
        expect(page.locator("#parts")).to_contain_text("6000 \u00d7 5000")
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


def test_pictures_that_browsers_cannot_show_are_shown_all_the_same(page: Page, tmp_path: Path) -> None:
    Image.fromarray(picture(RED)).save(tmp_path / "a.tif")
    drop(page, str(tmp_path / "a.tif"))
    done(page, "1 of 1 done")
    expect(page.locator("#verdict")).to_have_text("red stain")
    page.wait_for_timeout(100)
    assert page.evaluate("[picture.naturalWidth, picture.naturalHeight]") == [32, 32]


def test_the_page_waits_for_a_server_that_is_gone_and_goes_on(
    browser: Browser, colours: Run, folder: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        settings = Settings(port=free.getsockname()[1])
    with ExitStack() as stack:
        with serving(colours, settings) as client:
            page = stack.enter_context(opened(browser, str(client.base_url)))
            drop(page, str(folder / "left" / "clean.png"))
            done(page, "1 of 1 done")
        drop(page, str(folder / "left" / "red.png"), str(folder / "right" / "both.png"))
        expect(page.locator("#connection-text")).to_have_text("No answer from the server, retrying")
        done(page, "1 of 3 done")
        with serving(colours, settings):
            done(page, "3 of 3 done")
            expect(page.locator("#connection-text")).to_have_text("Connected")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_controls_have_names_and_text_can_be_read(
    browser: Browser, colours: Run, folder: Path, scheme: str
) -> None:
    with serving(colours) as client, opened(browser, str(client.base_url)) as page:
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        drop(page, str(folder))
        done(page, "4 of 4 done, 1 failed")
        session = page.context.new_cdp_session(page)
        nodes = session.send("Accessibility.getFullAXTree")["nodes"]
        focusable = [
            node
            for node in nodes
            if not node.get("ignored")
            and any(p["name"] == "focusable" and p["value"]["value"] for p in node.get("properties", []))
            and node["role"]["value"] != "RootWebArea"
        ]
        assert len(focusable) > 15
        assert [node for node in focusable if not node.get("name", {}).get("value")] == []
        low = page.evaluate(CONTRASTS)
        assert low == []


CONTRASTS = """() => {
  const channels = (text) => {
    const numbers = text.match(/[\\d.]+/g).map(Number);
    return text.startsWith("color(") ? numbers.map((value, i) => (i < 3 ? 255 * value : value)) : numbers;
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const [r, g, b, alpha = 1] = channels(getComputedStyle(at).backgroundColor);
      if (alpha === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    const style = getComputedStyle(element);
    if (!own || !element.checkVisibility()) continue;
    if (element.matches(":disabled, :disabled *, noscript, kbd, option")) continue;
    const [a, b] = [light(channels(style.color).slice(0, 3)), light(behind(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const name = `${element.tagName}.${element.className} ${element.textContent.slice(0, 30)}`;
    if (ratio < 4.5) low.push(`${name}: ${ratio.toFixed(2)}`);
  }
  return low;
}"""


def test_the_page_asks_for_the_token_and_takes_it_from_the_address(
    browser: Browser, colours: Run, folder: Path
) -> None:
    with serving(colours, Settings(port=0, token="s3cret")) as client:
        with opened(browser, f"{client.base_url}/#token=s3cret") as page:
            drop(page, str(folder / "left" / "red.png"))
            done(page, "1 of 1 done")
            assert "s3cret" not in page.url
        with opened(browser, str(client.base_url)) as page:
            asked = page.get_by_role("dialog")
            expect(asked).to_be_visible()
            asked.get_by_label("Token").fill("wrong")
            page.keyboard.press("Enter")
            expect(page.get_by_text("Wrong token.")).to_be_visible()
            asked.get_by_label("Token").fill("s3cret")
            page.keyboard.press("Enter")
            expect(page.locator("#connection-text")).to_have_text("Connected")
            expect(asked).to_be_hidden()


def test_export_refuses_what_would_harm(colours: Run) -> None:
    entry = {"name": "a.png", "width": 2, "height": 2, "score": 1, "scores": {}, "rle": []}
    runs = {"label": "green", "size": [2, 2], "counts": "13"}
    wrong: list[tuple[int, dict[str, Any]]] = [
        (422, {"name": "../a.png"}),
        (422, {"name": "/"}),
        (422, {"name": "C:\\a.png"}),
        (422, {"name": "a\n.png"}),
        (422, {"name": "\ud800.png"}),
        (422, {"name": "a" * 250 + ".png"}),
        (422, {"name": "\u00fc" * 130 + ".png"}),
        (422, {"rle": [{**runs, "label": "blue"}]}),
        (422, {"rle": [{**runs, "counts": "\u00fc"}]}),
        (422, {"rle": [{**runs, "size": [1, 4]}]}),
        (422, {"rle": [{**runs, "counts": "~~~"}]}),
        (422, {"rle": [{**runs, "counts": "1"}]}),
        (413, {"width": 10**6, "height": 10**6}),
    ]
    with serving(colours) as client:
        assert exported(client, "coco", {**entry, "rle": [runs]}).status_code == 200
        for status, change in wrong:
            assert exported(client, "labelme", {**entry, **change}).status_code == status
        assert exported(client, "no format", entry).status_code == 422
        assert exported(client, "coco", entry, entry).status_code == 422
        assert exported(client, "coco").status_code == 422


def exported(client: httpx.Client, name: str, *images: dict[str, Any]) -> httpx.Response:
    body = json.dumps({"format": name, "images": images})
    return client.post("/export", content=body, headers={"content-type": "application/json"})
