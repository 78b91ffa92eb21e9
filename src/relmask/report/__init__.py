"""Takes figures, tables and pictures; gives one HTML file that needs no network and reads on a phone.

`page` builds sections and writes the file, `drawings` makes curves as SVG, `figures` composes pictures.
"""

from relmask.masks.colours import class_colours
from relmask.report.drawings import Line, bars, curves
from relmask.report.figures import (
    fitted,
    found_and_missed,
    outlined,
    overlay,
    painted,
    panel,
)
from relmask.report.page import (
    Picture,
    Section,
    cards,
    charts,
    facts,
    gallery,
    legend,
    table,
    text,
    write_report,
)

__all__ = [
    "Line",
    "Picture",
    "Section",
    "bars",
    "cards",
    "charts",
    "class_colours",
    "curves",
    "facts",
    "fitted",
    "found_and_missed",
    "gallery",
    "legend",
    "outlined",
    "overlay",
    "painted",
    "panel",
    "table",
    "text",
    "write_report",
]
