"""`relmask check`: are the masks evidence?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import relmask
from relmask.cli.options import BatchSize, Clean, Data, Device, Json, Quiet, RunFolder, Seed
from relmask.cli.printing import finish, show
from relmask.cli.progress import shown

if TYPE_CHECKING:
    from relmask.checks import Check


def check(
    run: RunFolder,
    data: Data,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="The result. Default: check.json in RUN."),
    ] = None,
    pictures: Annotated[
        int, typer.Option(metavar="N", min=1, help="Masks to judge, spread over the classes.")
    ] = 8,
    clean: Clean = None,
    device: Device = "auto",
    batch_size: BatchSize = 8,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge whether masks are evidence of what the classifier learned.

    Layers forget what they learned, from the top: the masks must fall apart. Masks are painted over: the
    score must fall. No true mask is read, and no picture of the test split. Exits with 1 if a test fails.

    When stopped: nothing was written; the same command starts again.

    Example:
        relmask check run parts/
        relmask check run parts/ --pictures 20 -o check.json --json
    """
    from relmask.checks import check as judge
    from relmask.checks import chosen
    from relmask.data.index import read_index
    from relmask.data.splits import read_split
    from relmask.files import write_json

    with shown(quiet) as progress:
        trained = relmask.load(run, device=device, batch_size=batch_size)
        index = read_index(data, clean, trained.metadata.clean)
        samples = chosen(index.samples, read_split(run / "split.csv"))
        found = judge(trained, samples, pictures=pictures, seed=seed, progress=progress)
    write_json(out or run / "check.json", found.model_dump(mode="json"))
    show(found, as_json, _lines(found))
    finish(found.failures)


def _lines(found: "Check") -> list[str]:
    words = {True: "passed", False: "FAILED", None: "not made"}
    width = max(len(finding.name) for finding in found.findings)
    tests = [
        f"{finding.name:{width}}  {words[finding.passed]:8}  {finding.says}" for finding in found.findings
    ]
    verdict = "evidence" if found.passed else "no evidence"
    return [*tests, f"The masks are {verdict} of what the classifier learned."]
