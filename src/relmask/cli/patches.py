"""`relmask patches`: labelled windows of pictures with masks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from relmask.data.patches import Patches


def patches(
    data: Annotated[Path, typer.Argument(help="A data set with masks.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the patches and their index.csv.")],
    size: Annotated[int, typer.Option(help="Side of a patch in pixels.")],
    stride: Annotated[int | None, typer.Option(help="Step from patch to patch; default: the size.")] = None,
    min_defect: Annotated[
        int | None, typer.Option(help="Fewest pixels of a class that make a defect; default: half the side.")
    ] = None,
    clean: Annotated[str | None, typer.Option(help="Name of the class without defects.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace patches cut with other settings.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Cut labelled patches out of pictures with masks, to train on."""
    import json
    from dataclasses import asdict

    from relmask.data.patches import cut_patches

    cut = cut_patches(data, out, size, stride=stride, min_defect=min_defect, clean=clean, overwrite=overwrite)
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
