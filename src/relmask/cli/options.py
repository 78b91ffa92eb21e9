"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="A CSV (image,label[,group][,split][,mask]), or a folder: with an index.csv, in MVTec's "
        "layout, or with one sub-folder a class.",
        show_default=False,
    ),
]
RunFolder = Annotated[
    Path, typer.Argument(metavar="RUN", help="Folder that `relmask train` wrote.", show_default=False)
]
Inputs = Annotated[
    list[str],
    typer.Argument(metavar="INPUT...", help="Folders, globs and single pictures.", show_default=False),
]
Out = Annotated[
    Path, typer.Option("--out", "-o", metavar="OUT", help="Folder of the results.", show_default=False)
]
Clean = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Class without defects. Default: ok, good, free, normal or clean, if there.",
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, or another that torch knows.")]
Seed = Annotated[int, typer.Option(min=0, help="Of everything that is drawn.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes that read pictures, besides the main one.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Pictures that go through the network together.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Start anew in an OUT with other results.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
