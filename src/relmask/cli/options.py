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
        help="Labelled pictures: a CSV (image,label[,group][,split][,mask]), or a folder: with an index.csv, "
        "in MVTec's layout, or with one subfolder per class.",
        show_default=False,
    ),
]
RunFolder = Annotated[
    Path,
    typer.Argument(
        metavar="RUN", readable=False, help="Run: the folder that `relmask train` wrote.", show_default=False
    ),
]
Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT", help="Pictures: folders, glob patterns and single files.", show_default=False
    ),
]
Out = Annotated[
    Path, typer.Option("--out", "-o", metavar="OUT", readable=False, help="Folder for the results.")
]
Clean = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Name of the class without defects. Default: ok, good, free, normal or clean, if there is one.",
    ),
]
Split = Annotated[
    Literal["train", "val", "test"],
    typer.Option(help="Part of DATA to use. For pictures that the run knows, its own split decides."),
]
Resplit = Annotated[
    Literal["grouped", "random"] | None,
    typer.Option(help="Kind of new splits, drawn by group or by picture, in place of those of DATA."),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Device to compute on: auto, cpu, cuda, or another that torch knows.",
        autocompletion=lambda: ["auto", "cpu", "cuda"],
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        metavar="N", min=0, help="Random seed for splits, batches, augmentation and random weights."
    ),
]
BACKBONES = (
    "efficientnet-lite0",
    "dinov2-small",
    "vgg-narrow",
    "vgg11",
    "vgg11-bn",
    "vgg16",
    "vgg16-bn",
    "resnet18",
    "resnet34",
    "resnet50",
)
Backbone = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help=f"Backbone of the classifier: {', '.join(BACKBONES)}; or two side by side, joined by +.",
        autocompletion=lambda: BACKBONES,
    ),
]
Workers = Annotated[int, typer.Option(metavar="N", min=1, help="Number of threads that read pictures.")]
BatchSize = Annotated[
    int, typer.Option(metavar="N", min=1, help="Number of pictures that go through the network together.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace earlier results of this command; other files stay.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Masks = Annotated[
    Path | None,
    typer.Option(
        "--masks",
        metavar="PATH",
        readable=False,
        help="True masks: an unpacked export of CVAT, Label Studio, LabelMe, COCO, YOLO or VOC, or a folder "
        "of PNG files. They are matched to pictures by name.",
    ),
]
ImageRoot = Annotated[
    str,
    typer.Option(metavar="ROOT", help="Path or URL below which Label Studio finds the pictures."),
]


def names_in(text: str) -> list[str]:
    """Names separated by commas; empty ones are left out."""
    return [name for part in text.split(",") if (name := part.strip())]
