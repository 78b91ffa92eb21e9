"""Make the README's screenshots of the report from the folder that `relmask demo` wrote.

python docs/make_screenshots.py demo

Needs the test extra and Debian's chromium, or the browser that RELMASK_CHROMIUM names.
"""

import io
import os
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

WIDTH, HEIGHT = 1000, 700


def main(demo: Path, out: Path) -> None:
    """The head of the report in light, a gallery in dark."""
    browser = os.environ.get("RELMASK_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = started.new_page(
                viewport={"width": WIDTH, "height": HEIGHT},
                color_scheme="light" if scheme == "light" else "dark",
            )
            page.goto((demo / "report.html").resolve().as_uri())
            page.locator("p.about").evaluate(
                "(line, folder) => { line.textContent = line.textContent.replaceAll(folder, ''); }",
                f"{demo.resolve().parent}/",
            )
            if scheme == "dark":
                gallery = page.locator("section", has=page.get_by_role("heading", name="A random sample"))
                gallery.locator("input[type=range]").fill("2")
                gallery.evaluate("element => element.scrollIntoView({behavior: 'instant'})")
            shot = Image.open(io.BytesIO(page.screenshot()))
            out.mkdir(exist_ok=True)
            few = shot.convert("RGB").quantize(128, dither=Image.Dither.NONE)
            few.save(out / f"report-{scheme}.png", optimize=True)
        started.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parent / "pictures")
