"""`relmask patches`: labelled windows of pictures with masks."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from relmask.cli.options import Clean, Data, Json, Out, Overwrite, Quiet
from relmask.cli.printing import finish, show
from relmask.cli.progress import shown

if TYPE_CHECKING:
    from relmask.data.patches import Patches


def patches(
    data: Data,
    out: Out,
    size: Annotated[int, typer.Option(metavar="PX", help="Side of a patch in pixels.")],
    stride: Annotated[
        int | None, typer.Option(metavar="PX", help="Step from patch to patch in pixels. Default: the size.")
    ] = None,
    min_defect: Annotated[
        int | None,
        typer.Option(
            metavar="PX",
            help="Number of pixels of a class that make a patch defective. Default: half the size.",
        ),
    ] = None,
    clean: Clean = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Cut labelled patches to train on out of pictures with masks.

    When stopped: the same command continues; finished patches are used again.

    Example:
        relmask patches roads/ -o patches --size 96
        relmask train patches -o run
    """
    from relmask.data.patches import cut_patches

    with shown(quiet) as progress:
        cut = cut_patches(
            data,
            out,
            size,
            stride=stride,
            min_defect=min_defect,
            clean=clean,
            overwrite=overwrite,
            progress=progress,
        )
    show(cut, as_json, _lines(cut))
    finish(cut.failed.values())


def _lines(cut: "Patches") -> Iterator[str]:
    yield f"{sum(cut.labels.values())} patches in {cut.out}"
    yield from (f"  {label}: {count}" for label, count in cut.labels.items())
    yield from (f"  {split}: {count}" for split, count in cut.splits.items())
    for count, what in (
        (cut.dropped, "windows left out: too few defect pixels to be defective, too many to be clean"),
        (len(cut.small), "pictures left out: smaller than a patch"),
        (len(cut.unmasked), "defective pictures left out: no mask"),
    ):
        if count:
            yield f"{count} {what}"
