"""Arguments and options that several commands share; a parameter of one of these names is one of these.

Paths are `readable=False`: whether one can be read is found out, and told, where it is read.
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        readable=False,
        help="A CSV (image,label[,group][,split][,mask]), or a folder: with an index.csv, in MVTec's "
        "layout, or with one sub-folder a class.",
        show_default=False,
    ),
]
RunFolder = Annotated[
    Path,
    typer.Argument(
        metavar="RUN", readable=False, help="Folder that `relmask train` wrote.", show_default=False
    ),
]
Inputs = Annotated[
    list[str],
    typer.Argument(metavar="INPUT", help="Folders, globs and single pictures.", show_default=False),
]
Out = Annotated[
    Path, typer.Option("--out", "-o", metavar="OUT", readable=False, help="Folder of the results.")
]
Clean = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Class without defects. Default: ok, good, free, normal or clean, if there.",
    ),
]
Split = Annotated[
    Literal["train", "val", "test"],
    typer.Option(help="Part of DATA; for pictures that the run knows its own split decides."),
]
Resplit = Annotated[
    Literal["grouped", "random"] | None,
    typer.Option(help="Draw new splits, by group or by picture, instead of those of DATA."),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="auto, cpu, cuda, or another that torch knows.",
        autocompletion=lambda: ["auto", "cpu", "cuda"],
    ),
]
Seed = Annotated[int, typer.Option(metavar="N", min=0, help="Of everything that is drawn.")]
Workers = Annotated[int, typer.Option(metavar="N", min=1, help="Threads that read pictures.")]
BatchSize = Annotated[
    int, typer.Option(metavar="N", min=1, help="Pictures that go through the network together.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Start anew in an OUT with other results.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Masks = Annotated[
    Path | None,
    typer.Option(
        "--masks",
        metavar="PATH",
        readable=False,
        help="True masks: what CVAT, Label Studio, LabelMe, COCO, YOLO or VOC hold, unpacked, or a folder "
        "of PNG files. Pictures are found by their names.",
    ),
]
ImageRoot = Annotated[
    str,
    typer.Option(metavar="ROOT", help="What Label Studio finds the pictures below: a path, or a URL."),
]


def names_in(text: str) -> list[str]:
    """Names that are joined by commas."""
    return [name for part in text.split(",") if (name := part.strip())]
