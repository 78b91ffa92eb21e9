import socket
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from relmask.inference.run import Run
from relmask.serve import Settings
from tests.browser import drop, opened
from tests.serve.conftest import serving
from tests.serve.page.conftest import done, option


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
