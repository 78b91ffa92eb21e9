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
            help="Masks: OUT of `relmask segment`, a folder of masks, or the export of an annotation tool.",
            show_default=False,
        ),
    ],
    out: Out,
    formats: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="NAMES",
            help="Formats to write, separated by commas: png, voc, coco, yolo, labelme, label-studio, cvat.",
            show_default=False,
        ),
    ],
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            readable=False,
            help="Folder of the pictures, from which names and sizes are taken.",
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Class names of the values 1, 2 ... in the masks, separated by commas. Default: those that "
            "MASKS or its classes.csv gives.",
        ),
    ] = None,
    image_root: ImageRoot = "",
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Convert masks to other formats.

    When stopped: OUT is as it was; the same command starts over.

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
