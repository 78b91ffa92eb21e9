import base64
import hashlib
import math
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from relmask.errors import OutError
from relmask.report import (
    Line,
    Picture,
    Section,
    bars,
    cards,
    charts,
    confusion,
    curves,
    facts,
    gallery,
    legend,
    table,
    text,
    write_report,
)

NASTY = '<script>alert("1 & 2")</script>'
VOID = {"meta", "img", "br", "rect", "line", "polyline", "link", "input"}


class Balanced(HTMLParser):
    """Follows tags; what is not closed in order is an error."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@dataclass
class Judged:
    """A picture with a label, that was taken for clean."""

    label: str
    called: bool = False
    score: float = 0.4

    @property
    def labels(self) -> frozenset[str]:
        return frozenset((self.label,))

    @property
    def scores(self) -> dict[str, float]:
        return {self.label: self.score}


@pytest.fixture
def everything() -> list[Section]:
    picture = np.zeros((8, 12, 3), np.uint8)
    drawing = curves([Line(NASTY, [0, 1], [0, 1]), Line("b", [0, 1], [1, 0])], x_label=NASTY, y_label="y")
    return [
        text(NASTY, NASTY, warning=True),
        facts("facts", {NASTY: NASTY, "none": None, "yes": True}),
        cards("cards", {NASTY: (0.5, NASTY)}),
        table("table", (NASTY, "b"), [(NASTY, 1.0), ("x", None)], note=NASTY, strong=0),
        charts("charts", {NASTY: drawing, "bars": bars({NASTY: [0.1, 0.2]}, x_label=NASTY)}, note=NASTY),
        gallery("gallery", [Picture(NASTY, {NASTY: picture}, [(NASTY, "bad")])], note=NASTY),
        confusion([Judged(NASTY)], (NASTY,)),
        legend("legend", {NASTY: (1, 2, 3)}, note=NASTY),
    ]


def read(path: Path) -> Balanced:
    parser = Balanced()
    parser.feed(path.read_text(encoding="utf-8"))
    parser.close()
    assert parser.open == []
    return parser


def test_text_of_others_is_shown_and_never_run(everything: list[Section], tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", NASTY, everything)
    page = read(tmp_path / "report.html")
    assert [tag for tag, _ in page.seen].count("script") == 1
    assert "".join(page.words).count(NASTY[:18]) > 10


def test_the_page_needs_no_network(everything: list[Section], tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", "t", everything)
    page = read(tmp_path / "report.html")
    addresses = [
        value or ""
        for _, attributes in page.seen
        for key, value in attributes.items()
        if key in ("src", "href")
    ]
    assert addresses
    assert all(address.startswith(("data:image/jpeg;", "#s")) for address in addresses)
    assert not re.search(r"https?://|@import|url\(", (tmp_path / "report.html").read_text(encoding="utf-8"))


def test_the_browser_may_run_the_pages_own_script_and_no_other(
    everything: list[Section], tmp_path: Path
) -> None:
    write_report(tmp_path / "report.html", "t", everything)
    content = (tmp_path / "report.html").read_text(encoding="utf-8")
    (script,) = re.findall(r"<script>(.*?)</script>", content, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in content
    assert "default-src 'none'" in content


def test_every_section_is_named_and_linked_and_every_table_can_be_reached_by_keyboard(
    everything: list[Section], tmp_path: Path
) -> None:
    write_report(tmp_path / "report.html", "t", everything)
    seen = read(tmp_path / "report.html").seen
    ids = {attributes["id"] for _, attributes in seen if "id" in attributes}
    links = {(attributes["href"] or "")[1:] for tag, attributes in seen if tag == "a"}
    sections = [attributes for tag, attributes in seen if tag == "section"]
    assert links == {attributes["id"] for attributes in sections}
    assert {attributes["aria-labelledby"] for attributes in sections} <= ids
    scrolling = [attributes for _, attributes in seen if attributes.get("class") == "scroll"]
    assert scrolling
    assert all(attributes["tabindex"] == "0" and attributes["aria-label"] for attributes in scrolling)


def test_what_is_undefined_is_a_dash_and_not_a_number(tmp_path: Path) -> None:
    write_report(tmp_path / "r.html", "t", [table("t", ("a", "b", "c", "d"), [(None, math.nan, 0.12345, 3)])])
    words = read(tmp_path / "r.html").words
    at = words.index("0.123")
    assert words[at - 2 : at + 2] == ["\N{EN DASH}", "\N{EN DASH}", "0.123", "3"]


def test_a_report_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutError, match="file"):
        write_report(tmp_path / "file" / "report.html", "t", [])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
