"""One HTML file out of sections: no network, no script, light and dark, wide and narrow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from relmask.files import write_text
from relmask.report.figures import data_uri
from relmask.report.style import STYLE


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and its content, already HTML."""

    title: str
    html: str

    def __add__(self, other: "Section") -> "Section":
        """Both contents under the first heading."""
        return Section(self.title, self.html + other.html)


@dataclass(frozen=True, slots=True)
class Picture:
    """One line of a gallery: pictures (H, W, 3) side by side, each with a name, under a caption."""

    caption: str
    images: Mapping[str, NDArray[np.uint8]]


Cell = str | float | int | None


def text(title: str, *paragraphs: str, warning: bool = False) -> Section:
    """Plain paragraphs; a warning stands out."""
    kind = ' class="warning"' if warning else ""
    return Section(title, "".join(f"<p{kind}>{escape(paragraph)}</p>" for paragraph in paragraphs))


def facts(title: str, values: Mapping[str, Cell]) -> Section:
    """Names and values, one a line."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{_cell(value)}</dd>" for name, value in values.items())
    return Section(title, f"<dl>{rows}</dl>")


def cards(title: str, values: Mapping[str, tuple[Cell, str]]) -> Section:
    """Large figures, each with a name and a note under it."""
    items = "".join(
        f'<div class="card"><span>{escape(name)}</span><b>{_cell(value)}</b>'
        f"<small>{escape(note)}</small></div>"
        for name, (value, note) in values.items()
    )
    return Section(title, f'<div class="cards">{items}</div>')


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
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(
        f"<tr{' class=strong' if number == strong else ''}>"
        + "".join(f"<td{'' if isinstance(cell, str) else ' class=n'}>{_cell(cell)}</td>" for cell in row)
        + "</tr>"
        for number, row in enumerate(rows)
    )
    under = f"<p class=note>{escape(note)}</p>" if note else ""
    return Section(
        title,
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{under}",
    )


def charts(title: str, drawings: Mapping[str, str], *, note: str = "") -> Section:
    """SVG drawings (see `relmask.report.drawings`) beside each other, each under its name."""
    figures = "".join(
        f"<figure>{svg}<figcaption>{escape(name)}</figcaption></figure>" for name, svg in drawings.items()
    )
    under = f"<p class=note>{escape(note)}</p>" if note else ""
    return Section(title, f'<div class="charts">{figures}</div>{under}')


def gallery(title: str, pictures: Sequence[Picture], *, note: str = "", small: bool = False) -> Section:
    """Lines of pictures, which are embedded in the page; small ones stand side by side in larger numbers."""
    lines, kind = [], "strip small" if small else "strip"
    for picture in pictures:
        images = "".join(
            f'<figure><img loading="lazy" alt="{escape(name)} of {escape(picture.caption)}" '
            f'src="{data_uri(image)}" width="{image.shape[1]}" height="{image.shape[0]}">'
            f"<figcaption>{escape(name)}</figcaption></figure>"
            for name, image in picture.images.items()
        )
        lines.append(
            f'<div class="row"><p>{escape(picture.caption)}</p><div class="{kind}">{images}</div></div>'
        )
    under = f"<p class=note>{escape(note)}</p>" if note else ""
    return Section(title, under + "".join(lines))


def legend(title: str, colours: Mapping[str, Sequence[int]], *, note: str = "") -> Section:
    """Names with a patch of their colour (red, green, blue; 0 to 255)."""
    chips = "".join(
        f'<span class="chip"><i style="background:rgb({red},{green},{blue})"></i>{escape(name)}</span>'
        for name, (red, green, blue) in colours.items()
    )
    return Section(title, f"<p>{chips} {escape(note)}</p>")


def write_report(path: Path, title: str, sections: Sequence[Section]) -> None:
    """Write the page; it is whole or absent.

    Raises:
        OutError: the place cannot be written.
    """
    body = "".join(f"<section><h2>{escape(part.title)}</h2>{part.html}</section>" for part in sections)
    write_text(
        path,
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<style>{STYLE}</style></head><body><main><h1>{escape(title)}</h1>{body}</main></body></html>\n",
    )


def _cell(value: Cell) -> str:
    match value:
        case None:
            return "–"  # noqa: RUF001 - a dash, not a minus
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.3g}" if abs(value) >= 10 else f"{value:.3f}"
        case _:
            return escape(str(value))
