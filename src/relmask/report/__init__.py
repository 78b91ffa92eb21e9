"""Takes figures, tables and pictures; gives one HTML file that needs no network and reads on a phone.

`page` builds sections and writes the file, `drawings` makes curves as SVG, `figures` composes pictures,
`shots` shows some of them with a slider, `album` chooses which, `judged` says how pictures were judged.
"""

from relmask.masks.colours import class_colours
from relmask.report.charts import Line, bars, curves
from relmask.report.confusion import Judged, confusion, histogram, strongest
from relmask.report.gallery import Picture, Shot, colours, gallery, how_to_read, limit
from relmask.report.html import (
    Section,
    cards,
    charts,
    facts,
    legend,
    matrix,
    table,
    text,
    write_report,
)
from relmask.report.overlays import (
    fitted,
    found_and_missed,
    outlined,
    overlay,
    painted,
    panel,
)
from relmask.report.sampling import Album

__all__ = [
    "Album",
    "Judged",
    "Line",
    "Picture",
    "Section",
    "Shot",
    "bars",
    "cards",
    "charts",
    "class_colours",
    "colours",
    "confusion",
    "curves",
    "facts",
    "fitted",
    "found_and_missed",
    "gallery",
    "histogram",
    "how_to_read",
    "legend",
    "limit",
    "matrix",
    "outlined",
    "overlay",
    "painted",
    "panel",
    "strongest",
    "table",
    "text",
    "write_report",
]
