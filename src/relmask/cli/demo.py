"""`relmask demo`: everything once, on synthetic parts."""

from pathlib import Path
from typing import Annotated

import typer

import relmask
from relmask.cli.evaluate import lines
from relmask.cli.options import Device, Json, Out, Overwrite, Quiet, Seed
from relmask.cli.printing import finish, show
from relmask.cli.progress import shown

FALSE_ALARMS = 0.03  # of clean pictures; the demo promises a mask in at most 5 % of them


def demo(
    out: Out = Path("demo"),
    images: Annotated[int, typer.Option(metavar="N", min=60, help="Number of pictures to make.")] = 360,
    device: Device = "auto",
    seed: Seed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Try relmask on synthetic parts: make pictures, train, segment, evaluate; minutes on two cores.

    When stopped: the same command continues where this one stopped.

    Example:
        relmask demo
        relmask demo -o elsewhere --seed 1
    """
    from relmask.data.index import read_index
    from relmask.evaluation.controls import CONTROLS, random_head
    from relmask.evaluation.evaluate import evaluate_index
    from relmask.files import whole
    from relmask.out import prepared
    from relmask.synthetic.surfaces import CONTENTS, write_surfaces

    data, run_folder = out / "data", out / "run"
    with shown(quiet) as progress:
        with prepared(data, CONTENTS, {"seed": seed, "images": images}, overwrite=overwrite):
            if not (data / "index.csv").exists():
                write_surfaces(data, seed=seed, images=images)
        known = (run_folder / "relmask.json").exists() and not overwrite
        run = (
            relmask.load(run_folder, device=device)
            if known
            else relmask.train(
                data,
                run_folder,
                seed=seed,
                false_alarms=FALSE_ALARMS,
                device=device,
                resume=True,
                overwrite=overwrite,
                progress=progress,
            )
        )
        index = read_index(data)
        tested = [sample.path for sample in index.part("test")]
        outcome = relmask.segment_files(run, tested, out, overwrite=not known, progress=progress)
        metrics = evaluate_index(
            run,
            index,
            "test",
            out / "evaluation",
            controls=(*CONTROLS, random_head(run.classifier)),
            overwrite=not known,
            progress=progress,
        )
    with whole(out / "report.html") as part:
        part.write_bytes((out / "evaluation" / "report.html").read_bytes())
    look = f"\nLook at {out / 'report.html'}, {out / 'masks'} and {run_folder / 'report.html'}"
    show(metrics, as_json, [f"{outcome}\n", *lines(metrics), look])
    finish(f"{file}: {reason}" for file, reason in outcome.failed)
