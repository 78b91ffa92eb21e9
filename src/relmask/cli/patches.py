"""`relmask patches`: labelled windows of pictures with masks."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from relmask.cli.options import Clean, Data, Json, Out, Overwrite, Quiet
from relmask.cli.progress import shown

if TYPE_CHECKING:
    from relmask.data.patches import Patches


def patches(
    data: Data,
    out: Out,
    size: Annotated[int, typer.Option(help="Side of a patch in pixels.", show_default=False)],
    stride: Annotated[int | None, typer.Option(help="Step from patch to patch. Default: the size.")] = None,
    min_defect: Annotated[
        int | None, typer.Option(help="Fewest pixels of a class that make a defect. Default: half the size.")
    ] = None,
    clean: Clean = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Cut labelled patches out of pictures with masks, to train on."""
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
    typer.echo(json.dumps(asdict(cut), indent=2, default=str) if as_json else _text(cut))
    raise typer.Exit(1 if cut.failed else 0)


def _text(cut: "Patches") -> str:
    lines = [f"{sum(cut.labels.values())} patches in {cut.out}"]
    lines += [f"  {label}: {count}" for label, count in cut.labels.items()]
    lines += [f"  {split}: {count}" for split, count in cut.splits.items()]
    for count, what in (
        (cut.dropped, "windows left out: too few defect pixels to be defective, too many to be clean"),
        (len(cut.small), "pictures left out: smaller than a patch"),
        (len(cut.unmasked), "defective pictures left out: no mask"),
        (len(cut.failed), "pictures or masks that cannot be read:"),
    ):
        lines += [f"{count} {what}"] if count else []
    return "\n".join([*lines, *(f"  {reason}" for reason in cut.failed.values())])
