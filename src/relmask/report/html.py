"""One HTML file out of sections: no network, light and dark, wide and narrow, whole without its script."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from relmask.files import printable, write_text

_STATIC = Path(__file__).with_name("static")
STYLE = (_STATIC / "report.css").read_text(encoding="utf-8")
SCRIPT = (_STATIC / "report.js").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and its content, already HTML."""

    title: str
    html: str

    def __add__(self, other: "Section") -> "Section":
        """Both contents under the first heading."""
        return Section(self.title, self.html + other.html)


_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    f"script-src 'sha256-{base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()}'"
)
"""The browser loads nothing and runs no script but the page's own."""

Cell = str | float | int | None


def text(title: str, *paragraphs: str, warning: bool = False) -> Section:
    """Plain paragraphs; a warning stands out."""
    kind = ' class="warning"' if warning else ""
    return Section(title, "".join(f"<p{kind}>{escape(paragraph)}</p>" for paragraph in paragraphs))


def facts(title: str, values: Mapping[str, Cell]) -> Section:
    """Names and values, one a line."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{_cell(value)}</dd>" for name, value in values.items())
    return Section(title, f"<dl>{rows}</dl>")


def cards(title: str, values: Mapping[str, tuple[Cell, str]], *, note: str = "") -> Section:
    """Large figures, each with a name and a remark under it; a sentence under all."""
    items = "".join(
        f'<div class="card"><span>{escape(name)}</span><b>{_cell(value)}</b>'
        f"<small>{escape(remark)}</small></div>"
        for name, (value, remark) in values.items()
    )
    under = f"<p class=note>{escape(note)}</p>" if note else ""
    return Section(title, f'<div class="cards">{items}</div>{under}')


def table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    *,
    note: str = "",
    strong: int | None = None,
) -> Section:
    """A table; None is shown as a dash.

    Args:
        title: of the section.
        columns: headings.
        rows: cells, as many as columns.
        note: a sentence under the table.
        strong: number of a row that stands out.
    """
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join(
        f"<tr{' class=strong' if number == strong else ''}>"
        + f'<th scope="row">{_cell(row[0])}</th>'
        + "".join(f"<td{'' if isinstance(cell, str) else ' class=n'}>{_cell(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for number, row in enumerate(rows)
    )
    under = f"<p class=note>{escape(note)}</p>" if note else ""
    return Section(
        title,
        _scrolling(title, f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>") + under,
    )


def charts(title: str, drawings: Mapping[str, str], *, note: str = "") -> Section:
    """SVG drawings (see `relmask.report.charts`) beside each other, each under its name."""
    figures = "".join(
        f"<figure>{svg}<figcaption>{escape(name)}</figcaption></figure>" for name, svg in drawings.items()
    )
    under = f"<p class=note>{escape(note)}</p>" if note else ""
    return Section(title, f'<div class="charts">{figures}</div>{under}')


def matrix(
    title: str,
    counts: Mapping[str, Mapping[str, int]],
    *,
    rows: str,
    columns: str,
    note: str = "",
) -> Section:
    """Counts of pairs, shaded by their share of the row.

    Args:
        title: of the section.
        counts: row name to column name to count; every row has the same columns.
        rows: what the rows are.
        columns: what the columns are.
        note: a sentence under the table.
    """
    names = list(next(iter(counts.values()), {}))
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    lines = []
    for row, cells in counts.items():
        total = max(1, sum(cells.values()))
        shades = "".join(
            f'<td class="{"hit" if name == row else "miss"}" style="--share:{100 * count / total:.0f}%">'
            f"{count}</td>"
            for name, count in cells.items()
        )
        lines.append(f'<tr><th scope="row">{escape(row)}</th>{shades}</tr>')
    under = f"<p class=note>{escape(note)}</p>" if note else ""
    return Section(
        title,
        _scrolling(
            title,
            f'<table class="matrix"><caption>Rows: {escape(rows)}. Columns: {escape(columns)}.</caption>'
            f"<thead><tr><td></td>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>",
        )
        + under,
    )


def legend(title: str, colours: Mapping[str, Sequence[int]], *, note: str = "") -> Section:
    """Names with a patch of their colour (red, green, blue; 0 to 255)."""
    chips = "".join(
        f'<span class="chip"><i style="background:rgb({red},{green},{blue})"></i>{escape(name)}</span>'
        for name, (red, green, blue) in colours.items()
    )
    return Section(title, f"<p>{chips} {escape(note)}</p>")


def write_report(path: Path, title: str, sections: Sequence[Section], *, about: str = "") -> None:
    """Write the page; it is whole or absent.

    Args:
        path: of the file.
        title: of the page.
        sections: in their order.
        about: a line under the title.

    Raises:
        OutError: the place cannot be written.
    """
    body = "".join(
        f'<section id="s{number}" aria-labelledby="t{number}"><h2 id="t{number}">{escape(part.title)}</h2>'
        f"{part.html}</section>"
        for number, part in enumerate(sections)
    )
    links = "".join(f'<a href="#s{number}">{escape(part.title)}</a>' for number, part in enumerate(sections))
    under = f"<p class=about>{escape(about)}</p>" if about else ""
    page = (
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<style>{STYLE}</style></head><body><a class="skip" href="#s0">Skip to the content</a>'
        f'<header><h1>{escape(title)}</h1>{under}</header><nav aria-label="Sections">{links}</nav>'
        f"<main>{body}</main><script>{SCRIPT}</script></body></html>\n"
    )
    write_text(path, printable(page))


def _scrolling(title: str, content: str) -> str:
    """Content that may be wider than the page; the keyboard can scroll it, too."""
    return f'<div class="scroll" tabindex="0" role="group" aria-label="{escape(title)}">{content}</div>'


def _cell(value: Cell) -> str:
    match value:
        case None | float() if value is None or value != value:  # NaN: not defined either
            return "–"  # noqa: RUF001 - a dash, not a minus
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.3g}" if abs(value) >= 10 else f"{value:.3f}"
        case _:
            return escape(str(value))
