"""`relmask data`: what is in DATA."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from relmask.cli.options import Clean, Data, Json, Quiet, Resplit, Seed, Workers
from relmask.cli.printing import show
from relmask.cli.progress import shown

if TYPE_CHECKING:
    from relmask.data.survey import Survey


def data(
    data: Data,
    clean: Clean = None,
    resplit: Resplit = None,
    seed: Seed = 0,
    workers: Workers = 2,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Survey DATA: count classes, groups and splits; find broken files and duplicates across splits.

    When stopped: nothing was written; the same command starts over.

    Example:
        relmask data parts/
        relmask data parts/index.csv --resplit grouped --seed 1
    """
    from relmask.data.survey import survey

    with shown(quiet) as progress:
        found = survey(data, clean, resplit=resplit, seed=seed, workers=workers, progress=progress)
    show(found.as_dict(), as_json, _lines(found))
    raise typer.Exit(1 if found.broken else 0)


def _lines(found: "Survey") -> Iterator[str]:
    yield f"{found.data}: {found.images} pictures in {found.groups} groups"
    yield ""
    yield from _table(found)
    yield ""
    yield f"clean class  {found.clean or 'none: each class is judged against the pictures without it'}"
    drawn = " (drawn; DATA states none)" if found.drawn else ""
    yield f"splits       {_counts(found.splits) or 'none'}{drawn}"
    yield f"masks        {found.with_masks} of {found.with_masks + found.without_masks} defective pictures"
    yield f"sizes        {_counts(found.sizes)}"
    yield f"values       {_counts(found.kinds)}"
    yield from _section("Broken files", [f"{name}: {reason}" for name, reason in found.broken.items()])
    pairs = [
        f"{p.likeness:.3f}  {p.first} ({p.splits[0]})  {p.second} ({p.splits[1]})" for p in found.look_alikes
    ]
    yield from _section("Perhaps the same part in two splits", pairs)
    for warning in found.warnings:
        yield f"\nwarning: {warning}"


def _table(found: "Survey") -> Iterator[str]:
    splits = list(found.splits)
    rows = [["label", "pictures", "groups", *splits]]
    for count in found.classes:
        cells = [f"{count.splits.get(s, 0)} ({count.groups_in_splits.get(s, 0)})" for s in splits]
        rows.append([count.label, str(count.images), str(count.groups), *cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for label, *cells in rows:
        numbers = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        yield "  ".join([label.ljust(widths[0]), *numbers])


def _counts(counts: Mapping[str, int], limit: int = 5) -> str:
    shown = [f"{name} {count}" for name, count in list(counts.items())[:limit]]
    return ", ".join(shown) + (f", and {len(counts) - limit} more" if len(counts) > limit else "")


def _section(title: str, lines: Sequence[str], limit: int = 10) -> Iterator[str]:
    if lines:
        yield f"\n{title} ({len(lines)})"
        yield from (f"  {line}" for line in lines[:limit])
        if len(lines) > limit:
            yield f"  ... and {len(lines) - limit} more (all with --json)"
