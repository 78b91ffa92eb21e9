"""Takes figures, tables and pictures; gives one HTML file that needs no network and reads on a phone.

`html` builds sections and writes the file, `charts` draws curves as SVG, `overlays` composes pictures,
`gallery` shows them with a slider, `sampling` chooses which, `confusion` says how pictures were judged. Style
and script lie in `static` and are written into the file.
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
