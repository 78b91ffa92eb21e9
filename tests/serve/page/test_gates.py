"""The page's gates: a slider that shows what it would do, and images below the gate that are explained."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from relmask.inference.run import Run
from relmask.masks.gates import Scores
from relmask.models.bundle import read_metadata, save_metadata
from relmask.models.kept_scores import KeptScores, Source, write_scores
from tests.browser import drop, opened
from tests.serve.conftest import CLASSES, GREEN, RED, picture, seeing_colours, serving
from tests.serve.page.conftest import done, masks_of, option
from tests.serve.page.test_access import CONTRASTS

TRACE = {1: (slice(5, 6), slice(4, 7))}
"""Three green pixels: the gate is above 4."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for name, spots in {"both": RED | GREEN, "clean": {}, "trace": TRACE}.items():
        Image.fromarray(picture(spots)).save(tmp_path / f"in/{name}.png")
    return tmp_path / "in"


def kept() -> KeptScores:
    """40 clean pictures in 20 groups, and 10 of each class."""
    rng = np.random.default_rng(0)
    logits, targets = rng.uniform(0, 3.5, (60, 2)).round(3), np.zeros((60, 2), bool)
    targets[40:50, 0] = targets[50:, 1] = True
    logits[targets] += 2
    groups = [str(number // 2) if number < 30 else "15" for number in range(40)]
    sources: list[Source] = ["validation" if number < 50 else "cross-fitted" for number in range(60)]
    scores = Scores(logits, targets, [*groups, *map(str, range(50, 70))])
    return KeptScores(scores, [f"{number}.png" for number in range(60)], sources)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = seeing_colours(tmp_path / "run", windows=False)
    write_scores(run.path, kept(), CLASSES)
    return run


@pytest.fixture
def page(browser: Browser, run: Run) -> Iterator[Page]:
    with serving(run) as client, opened(browser, str(client.base_url)) as page:
        yield page


def effect(page: Page, title: str) -> Locator:
    """What now passes, and what passes the run's gates."""
    return page.get_by_role("row", name=title)


def test_what_the_page_says_of_gates_is_what_the_scores_say(page: Page) -> None:
    scores, rng = kept().scores, np.random.default_rng(1)
    clean = ~scores.targets.any(axis=1)
    images = [
        {
            "labels": [name for name, is_in in zip(CLASSES, row, strict=True) if is_in],
            "group": group,
            "logits": dict(zip(CLASSES, logits, strict=True)),
        }
        for row, group, logits in zip(
            scores.targets.tolist(), scores.groups, scores.logits.tolist(), strict=True
        )
    ]
    for _ in range(20):
        gates = rng.uniform(0, 5, 2)
        found = page.evaluate(
            """async ([images, name, gates]) => {
              const { effect } = await import("/static/gates.js");
              return effect(images, name, new Map(gates));
            }""",
            [images, "green", list(zip(CLASSES, gates.tolist(), strict=True))],
        )
        above = scores.logits > gates
        per_group: dict[object, list[bool]] = {}
        raised = np.any(above[clean], axis=1).tolist()
        for group, alarm in zip(np.array(scores.groups)[clean], raised, strict=True):
            per_group.setdefault(group, []).append(alarm)
        assert found["alarms"] == pytest.approx(np.mean([np.mean(of) for of in per_group.values()]))
        assert found["groups"] == len(per_group) == 16
        assert found["clean"] == [above[clean, 1].sum(), 40]
        assert found["defective"] == [above[scores.targets[:, 1], 1].sum(), 10]


def test_a_gate_that_moves_shows_at_once_what_it_would_do(page: Page, folder: Path) -> None:
    drop(page, str(folder))
    done(page, "3 of 3 done")
    page.get_by_role("combobox", name="Class").select_option("green")
    logits, clean = kept().scores.logits[:, 1], np.arange(60) < 40
    expect(effect(page, "Images here")).to_have_text("Images here1 of 31")
    expect(effect(page, "Known clean")).to_have_text("Known clean0 of 400")
    expect(effect(page, "False alarms")).to_contain_text("< 6.3\u00a0%")  # of 16 groups none
    known = int((logits[50:] > 4).sum())
    expect(effect(page, "Known green")).to_have_text(f"Known green{known} of 10{known}")
    expect(page.locator("#gate-source")).to_contain_text("50 of validation, 10 of training")
    page.get_by_role("spinbutton", name="Gate").fill("2.5")
    expect(effect(page, "Images here")).to_have_text("Images here2 of 31")
    passing = int((logits[clean] > 2.5).sum())
    expect(effect(page, "Known clean")).to_have_text(f"Known clean{passing} of 400")
    expect(page.locator("#gate-help")).to_contain_text("a score of 18\u00a0%")
    page.get_by_role("button", name="The run's gates").click()
    expect(effect(page, "Images here")).to_have_text("Images here1 of 31")
    expect(page.locator("#changed")).to_be_hidden()
    slider = page.get_by_role("slider", name="Gate")
    slider.focus()
    slider.press("Home")  # below all that was seen
    expect(effect(page, "Known clean")).to_have_text("Known clean40 of 400")
    slider.press("End")
    expect(effect(page, "Known green")).to_have_text(f"Known green0 of 10{known}")


def test_masks_follow_the_gate_and_are_downloaded_so(page: Page, folder: Path, tmp_path: Path) -> None:
    drop(page, str(folder))
    done(page, "3 of 3 done")
    page.get_by_role("combobox", name="Class").select_option("green")
    page.get_by_role("spinbutton", name="Gate").fill("2.5")
    page.keyboard.press("Tab")
    expect(option(page, "trace.png, green")).to_be_visible()
    page.get_by_role("combobox", name="Class").select_option("red stain")
    page.get_by_role("spinbutton", name="Gate").fill("61")
    page.keyboard.press("Tab")
    option(page, "both.png").click()
    expect(page.locator("#verdict")).to_have_text("green")
    expect(page.locator("#parts")).to_contain_text("Mask: 1 part, 16 px")
    page.keyboard.press("a")
    option(page, "trace.png").click()
    expect(page.locator("#parts")).to_contain_text("Mask: 1 part, 3 px")
    page.keyboard.press("a")
    found = {annotation.image: annotation for annotation in masks_of(page, "png", tmp_path).pictures}
    drawn = {Path(name).stem: of.draw(CLASSES, (32, 32)) for name, of in found.items()}
    assert np.array_equal(drawn["both"], 2 * (picture(GREEN)[..., 1] > 0))
    assert np.array_equal(drawn["trace"], 2 * (picture(TRACE)[..., 1] > 0))


def test_an_image_below_its_gate_is_explained_from_the_keyboard(page: Page, folder: Path) -> None:
    drop(page, str(folder))
    done(page, "3 of 3 done")
    option(page, "trace.png").click()
    expect(page.locator("#view-note")).to_contain_text("Clean: all scores are below their gates")
    expect(page.get_by_role("button", name="Explain anyway")).to_be_visible()
    page.keyboard.press("e")
    expect(page.locator("#view-note")).to_contain_text("Below the gate, so no mask.")
    expect(page.get_by_role("button", name="Explain anyway")).to_be_hidden()
    expect(page.locator("#map-note")).to_contain_text("Heatmap of green")
    expect(page.locator("#verdict")).to_have_text("clean")
    expect(page.locator("#parts")).to_contain_text("No mask.")
    expect(page.locator("#look-toggle")).to_be_hidden()  # such a run cannot tell where it looks first
    page.get_by_role("spinbutton", name="Gate").fill("2.5")  # of green, which the map is of
    expect(page.locator("#verdict")).to_have_text("green")
    expect(page.locator("#parts")).to_contain_text("Mask: 1 part, 3 px")


def test_where_the_first_look_would_have_looked_is_shown(browser: Browser, trained: Run, parts: Path) -> None:
    clean = next(
        path for path in sorted((parts / "images").iterdir()) if trained.segment(path).relevance is None
    )
    with serving(trained) as client, opened(browser, str(client.base_url)) as page:
        drop(page, str(clean))
        done(page, "1 of 1 done")
        page.get_by_role("button", name="Explain anyway").click()
        expect(page.locator("#view-note")).to_contain_text("Yellow: looked at first")
        toggle = page.get_by_role("checkbox", name="First look")
        expect(toggle).to_be_checked()
        page.keyboard.press("f")
        expect(toggle).not_to_be_checked()
        expect(page.locator("#look")).to_have_class("off")


def test_gates_are_saved_to_the_run(page: Page, folder: Path, run: Run) -> None:
    drop(page, str(folder))
    done(page, "3 of 3 done")
    page.get_by_role("combobox", name="Class").select_option("green")
    page.get_by_role("spinbutton", name="Gate").fill("2.5")
    page.get_by_role("button", name="Save to the run").click()
    expect(page.locator("#save-note")).to_contain_text("moved by hand")
    expect(effect(page, "Images here")).to_have_text("Images here2 of 32")
    written = read_metadata(run.path).calibration
    assert written is not None
    assert (written.classes["green"].gate, written.classes["red stain"].gate) == (2.5, 4)


def test_windows_of_an_image_pass_the_gate_of_the_page(browser: Browser, tmp_path: Path) -> None:
    run = seeing_colours(tmp_path / "run", windows=True)
    far = picture(TRACE, 32, 96)
    far[5:6, 88:93, 1] = 255
    Image.fromarray(far).save(tmp_path / "far.png")
    with serving(run) as client, opened(browser, str(client.base_url)) as page:
        drop(page, str(tmp_path / "far.png"))
        done(page, "1 of 1 done")
        expect(page.locator("#parts")).to_contain_text("Mask: 1 part, 5 px")
        page.get_by_role("spinbutton", name="Gate").fill("2.5")
        page.keyboard.press("Tab")
        expect(page.locator("#parts")).to_contain_text("Mask: 2 parts, 8 px")
        page.keyboard.press("a")
        [annotation] = masks_of(page, "png", tmp_path).pictures
    assert np.array_equal(annotation.draw(CLASSES), 2 * (far[..., 1] > 0))


def test_a_run_that_keeps_no_scores_still_moves_its_gates(
    browser: Browser, colours: Run, folder: Path
) -> None:
    with serving(colours) as client, opened(browser, str(client.base_url)) as page:
        drop(page, str(folder))
        done(page, "3 of 3 done")
        expect(page.locator("#gate-source")).to_contain_text("relmask calibrate")
        page.get_by_role("combobox", name="Class").select_option("green")
        page.get_by_role("spinbutton", name="Gate").fill("2.5")
        expect(effect(page, "Images here")).to_have_text("Images here2 of 31")
        expect(page.get_by_role("row", name="Known")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_new_can_be_read_in_both_themes(
    browser: Browser, run: Run, folder: Path, scheme: str
) -> None:
    with serving(run) as client, opened(browser, str(client.base_url)) as page:
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        drop(page, str(folder))
        done(page, "3 of 3 done")
        option(page, "trace.png").click()
        expect(page.get_by_role("button", name="Explain anyway")).to_be_visible()
        assert page.evaluate(CONTRASTS) == []
        page.keyboard.press("e")
        expect(page.locator("#view-note")).to_contain_text("Below the gate")
        assert page.evaluate(CONTRASTS) == []


def never_clean(run: Run) -> Run:
    """The same for data that know no clean picture; usual logits are 2 of green and 0 of red."""
    calibration = run.segmenter.calibration
    green = calibration.classes["green"].model_copy(update={"clean_median": 2.0})
    classes = {**calibration.classes, "green": green}
    changed = calibration.model_copy(update={"classes": classes, "never_clean": True})
    metadata = run.metadata.model_copy(update={"calibration": changed})
    save_metadata(run.path, metadata)
    return Run(run.path, metadata, run.model)


def test_where_no_picture_is_clean_the_page_masks_the_strongest_class_as_the_library_does(
    browser: Browser, run: Run, folder: Path
) -> None:
    run = never_clean(run)
    rng = np.random.default_rng(0)
    logits = rng.integers(-3, 9, (60, 2)).astype(float)  # with ties
    images = [dict(zip(CLASSES, row, strict=True)) for row in logits.tolist()]
    with serving(run) as client, opened(browser, str(client.base_url)) as page:
        assert client.get("/run").json()["never_clean"]
        found = page.evaluate(
            """async (images) => {
              const { Thresholds } = await import("/static/thresholds.js");
              const run = await (await fetch("/run")).json();
              const thresholds = new Thresholds({ moved() {}, settled() {} });
              thresholds.use(run);
              return images.map((logits) => thresholds.passing(logits));
            }""",
            images,
        )
        expected = run.segmenter.calibration.candidates(logits)
        assert [np.flatnonzero(row).tolist() for row in expected] == found
        page.reload()
        drop(page, str(folder / "trace.png"))
        done(page, "1 of 1 done")
        expect(option(page, "trace.png, green")).to_be_visible()  # 3 of green, usual are 2; of red 0
        expect(page.locator("#parts")).to_contain_text("Mask: 1 part, 3 px")
        page.get_by_role("combobox", name="Class").select_option("green")
        expect(effect(page, "Images here")).to_have_text("Images here1 of 11")
        page.get_by_role("spinbutton", name="Gate").fill("3.5")
        page.keyboard.press("Tab")
        expect(page.locator("#parts")).to_contain_text("Mask: 1 part, 3 px")
        expect(effect(page, "Images here")).to_have_text("Images here1 of 11")


def test_known_images_pass_by_their_strongest_class_where_none_is_clean(page: Page) -> None:
    images = [
        {"labels": ["green"], "group": "a", "logits": {"red stain": 0, "green": 1}},
        {"labels": ["red stain"], "group": "b", "logits": {"red stain": 1, "green": 2}},
        {"labels": ["red stain"], "group": "c", "logits": {"red stain": 3, "green": 0}},
    ]
    found = page.evaluate(
        """async (images) => {
          const { effect } = await import("/static/gates.js");
          const gates = new Map([["red stain", 9], ["green", 9]]);
          const strongest = (logits) => (logits["red stain"] > logits.green ? "red stain" : "green");
          return effect(images, "green", gates, strongest);
        }""",
        images,
    )
    assert (found["defective"], found["clean"], found["alarms"]) == ([1, 1], [1, 2], 0.5)
