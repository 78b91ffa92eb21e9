"""`relmask check`: are the masks evidence?"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import relmask
from relmask.cli.options import BatchSize, Clean, Data, Device, Json, Overwrite, Quiet, RunFolder, Seed
from relmask.cli.printing import finish, show
from relmask.cli.progress import shown
from relmask.errors import OutError

if TYPE_CHECKING:
    from relmask.checks import Check


def check(
    run: RunFolder,
    data: Data,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            readable=False,
            help="File for the result. Default: check.json in RUN.",
        ),
    ] = None,
    pictures: Annotated[
        int, typer.Option(metavar="N", min=1, help="Number of masks to judge, spread over the classes.")
    ] = 8,
    clean: Clean = None,
    device: Device = "auto",
    batch_size: BatchSize = 8,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check whether masks are evidence of what the classifier learned.

    Layers are re-initialised from the last one back: the masks must change. Masked regions are inpainted: the
    score must drop. No true mask and no picture of the test split is read. Exits with 1 if a test fails.

    When stopped: nothing was written; the same command starts over.

    Example:
        relmask check run parts/
        relmask check run parts/ --pictures 20 -o check.json --json
    """
    if out is not None:
        _require_free(out, overwrite)
    with shown(quiet) as progress:
        found = relmask.check(
            relmask.load(run, device=device, batch_size=batch_size),
            data,
            pictures=pictures,
            clean=clean,
            seed=seed,
            progress=progress,
        )
    _write(found, out, run)
    show(found, as_json, _lines(found))
    finish(found.failures)


def _require_free(file: Path, overwrite: bool) -> None:
    """Check, before any work, that nothing is replaced but the result of another check, if asked to."""
    from relmask.checks import Check

    if not file.exists():
        return
    try:
        Check.model_validate_json(file.read_bytes())
    except (OSError, ValueError):
        raise OutError(f"{file} is no result of `relmask check`. Choose another FILE.") from None
    if not overwrite:
        raise OutError(
            f"{file} holds the result of a check. Choose another FILE, or replace it with --overwrite."
        )


def _write(found: "Check", file: Path | None, run: Path) -> None:
    """Write the result; where no file was named and the run may only be read, warn."""
    from relmask.files import write_json

    try:
        write_json(file or run / "check.json", found.model_dump(mode="json"))
    except OutError as error:
        if file is not None:
            raise
        warnings.warn(f"The result is not kept. {error} Name a file for it with -o.", stacklevel=2)


def _lines(found: "Check") -> list[str]:
    words = {True: "passed", False: "FAILED", None: "not made"}
    width = max(len(finding.name) for finding in found.findings)
    tests = [
        f"{finding.name:{width}}  {words[finding.passed]:8}  {finding.says}" for finding in found.findings
    ]
    failed = "The masks are no evidence of what the classifier learned."
    return [*tests, found.verdict if found.passed else failed]
