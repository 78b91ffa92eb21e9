"""`relmask convert`: masks in other formats."""

from pathlib import Path
from typing import Annotated

import typer

import relmask
from relmask.cli.options import ImageRoot, Json, Out, Overwrite, Quiet, names_in
from relmask.cli.printing import finish, show
from relmask.cli.progress import shown


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="MASKS",
            readable=False,
            help="OUT of `relmask segment`, a folder of masks, or what an annotation tool exported.",
            show_default=False,
        ),
    ],
    out: Out,
    formats: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="NAMES",
            help="png, voc, coco, yolo, labelme, label-studio, cvat; several joined by commas.",
            show_default=False,
        ),
    ],
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            readable=False,
            help="Folder of the pictures: names and sizes are taken from there.",
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Of the values 1, 2 ... in the masks, joined by commas; default: what MASKS or its "
            "classes.csv says.",
        ),
    ] = None,
    image_root: ImageRoot = "",
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write masks that exist in other formats.

    When stopped: the formats are as they were; the same command starts again.

    Example:
        relmask convert masks/ --to cvat -o masks       # what `relmask segment` wrote, to correct it
        relmask convert export.json --to png -o corrected --images new/
    """
    with shown(quiet) as progress:
        converted = relmask.convert_files(
            source,
            names_in(formats),
            out,
            images=images,
            classes=names_in(classes or ""),
            image_root=image_root,
            overwrite=overwrite,
            progress=progress,
        )
    show(converted, as_json, [converted])
    finish(f"{picture}: {reason}" for picture, reason in converted.failed)
