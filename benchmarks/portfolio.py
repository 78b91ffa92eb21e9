"""What changes are judged by: every set, every seed, relmask beside what it must beat.

    python benchmarks/portfolio.py ../shared/data -o runs/portfolio
    python benchmarks/portfolio.py ../shared/data -o runs/portfolio --set coffee --seed 0 --method relmask
    python benchmarks/portfolio.py ../shared/data -o runs/now --recalibrate runs/portfolio --method relmask
    python benchmarks/portfolio.py -o runs/portfolio --page

Each method is trained, gets its thresholds from labels alone (the U-Net: from true masks) and is judged on
the whole test pictures of the set, all on one split. A finished method is read from its result.json, a
training that was stopped goes on. Every figure is printed as one JSON line, with its 95 % interval by a
bootstrap over groups where it has one. `OUT/<set>-<seed>/<method>/report.html` shows the masks.

`--recalibrate RUNS` trains nothing: it takes the networks that an earlier call left in RUNS and their gates,
chooses anew how far masks reach, and judges with the mask rule as it is now. What was judged at this very
commit is kept. `--page` measures nothing: it takes the results in OUT into docs/experiments/portfolio.jsonl
and writes docs/portfolio.md.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field

import relmask
from portfolio_page import update_page
from portfolio_sets import SETS, TEXTURES, PortfolioSet
from relmask.evaluation.comparison.attributions import NotApplicable
from relmask.evaluation.comparison.methods import METHODS
from relmask.evaluation.comparison.settings import Settings
from relmask.evaluation.comparison.shared import Shared
from relmask.evaluation.evaluate import threshold_scores
from relmask.evaluation.measure import DEFECT, looks_of, measure
from relmask.evaluation.metrics import Metrics
from relmask.evaluation.results import write_results
from relmask.files import write_json
from relmask.masks.settings import WINDOWS, MaskSettings
from relmask.masks.thresholds import Calibration, ClassThresholds
from relmask.models import bundle
from relmask.progress import Progress, silent
from relmask.record import Record
from relmask.training.effort import FULL, Effort

DEFAULT_METHODS = ("relmask", "unet", "random-head", "one-class")
CHOICES = ("relmask", "student", *DEFAULT_METHODS[1:])
WORK, RESULT = "work", "result.json"


class Result(Record):
    """What `result.json` holds: one method on one set with one seed."""

    set: str
    seed: int
    method: str
    commit: str = Field(description="Of the relmask that was measured, `-dirty` where files differ from it.")
    train_seconds: float | None = None
    note: str = Field(default="", description="Why there are no figures, or what the method got less of.")
    metrics: Metrics | None = None

    def figures(self) -> Iterator[dict[str, Any]]:
        """One record a figure; `low` and `high` are ends of its 95 % interval."""
        if (found := self.metrics) is None:
            return
        pixel, image, ci = found.pixel, found.image, found.ci95
        values = {
            "auroc": (image.auroc, ci.auroc),
            "recall_at_gate": (image.recall_at_gate, ci.recall_at_gate),
            "iou": (pixel.iou, ci.iou),
            "mean_iou": (found.mean_iou, ci.mean_iou),
            "f1": (pixel.f1, ci.f1),
            "f1_tol2": (pixel.f1_tol2, ci.f1_tol2),
            "clean_empty": (found.clean.empty_share, ci.empty_share),
            "peak_on_defect": (image.peak_on_defect, ci.peak_on_defect),
            "train_seconds": (self.train_seconds, None),
            "seconds_per_image": (found.seconds_per_image, None),
            **{f"iou_{name}": (one.iou, ci.per_class.get(name)) for name, one in found.per_class.items()},
        }
        for figure, (value, interval) in values.items():
            low, high = (None, None) if interval is None else (round(end, 4) for end in interval)
            yield {
                "set": self.set,
                "seed": self.seed,
                "method": self.method,
                "figure": figure,
                "value": None if value is None else round(value, 4),
                "low": low,
                "high": high,
                "commit": self.commit,
            }


class Judge:
    """One set with one seed: trains what is missing, and judges methods on its test pictures.

    Args:
        out: folder of all results.
        name: of the set.
        chosen: the set.
        seed: of the training.
        data: folder of the real sets.
        runs: folder of an earlier call whose networks are judged; None: train.
        progress: told of every step.
        effort: work of every training; tests ask for little.
    """

    def __init__(
        self,
        out: Path,
        name: str,
        chosen: PortfolioSet,
        seed: int,
        data: Path,
        *,
        runs: Path | None = None,
        progress: Progress = silent,
        effort: Effort = FULL,
    ) -> None:
        self.name, self.chosen, self.seed = name, chosen, seed
        self.folder = out / f"{name}-{seed}"
        self.data, self.runs = data, runs
        # Names of pictures hold their path: a network's pictures are found where it learned from them.
        self.made = (runs or out) / "pictures"
        self.progress, self.effort = progress, effort

    @cached_property
    def shared(self) -> Shared:
        """What the methods have in common, with new thresholds where the networks are those of `runs`."""
        if self.runs is not None:
            take_networks(self.runs / self.folder.name / WORK, self.folder / WORK)
        split = self.chosen.split(self.data, self.made, self.seed)
        settings = Settings(seed=self.seed, **self.chosen.settings)
        shared = Shared(self.folder / WORK, split, settings, self.progress, self.effort)
        if self.runs is not None:
            choose_levels(shared)
        return shared

    def result(self, method: str) -> Result:
        """The figures of a method: those of result.json, or of now."""
        path = self.folder / method / RESULT
        now = commit()
        if path.is_file():
            known = Result.model_validate_json(path.read_bytes())
            if self.runs is None or (known.commit == now and not now.endswith("-dirty")):
                return known
        result = self._measured(method, now)
        write_json(path, result.model_dump(mode="json"))
        return result

    def _measured(self, method: str, now: str) -> Result:
        known: dict[str, Any] = {"set": self.name, "seed": self.seed, "method": method, "commit": now}
        shared = self.shared
        try:
            contender = METHODS[method].prepare(shared)
        except NotApplicable as reason:
            return Result(**known, note=str(reason))
        segmenter = contender.segmenter(contender.model, contender.classes, contender.calibration)
        measured = measure(
            segmenter.segment_images,
            shared.test,
            shared.split.index,
            classes=None if contender.classes == DEFECT else contender.classes,
            intensity=segmenter.intensity,
            look=looks_of(contender.model, contender.classes),
            on_image=lambda done: self.progress("judging", done, len(shared.test), method),
        )
        calibration = contender.calibration
        metrics = measured.metrics(
            split="test",
            grouped=shared.split.grouped,
            threshold=threshold_scores(calibration, saw_masks="masks" in METHODS[method].saw),
        )
        write_results(
            self.folder / method,
            metrics,
            measured,
            title=f"{method} on {self.name}, seed {self.seed}",
            gate=calibration.gate_score,
            about=f"benchmarks/portfolio.py at {now}",
        )
        seconds = contender.train_seconds
        return Result(**known, train_seconds=seconds, note=contender.note, metrics=metrics)


def take_networks(source: Path, target: Path) -> None:
    """Copy what an earlier call trained, where `target` has none, and make it readable.

    Fields of thresholds that relmask does not know any more are dropped: the gates are what is needed.
    """
    if not source.is_dir():
        raise SystemExit(f"No networks in {source}: measure that set and seed without --recalibrate first.")
    if not target.is_dir():
        part = target.with_name(f"{target.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(source, part, ignore=shutil.ignore_patterns("checkpoints", "runs"))
        part.rename(target)
    for path in target.glob(f"*/{bundle.METADATA}"):
        content = _known(json.loads(path.read_text(encoding="utf-8")), bundle.Metadata)
        thresholds = _known(content["calibration"], Calibration)
        classes = {name: _known(values, ClassThresholds) for name, values in thresholds["classes"].items()}
        calibration = {**thresholds, "classes": classes}
        seen = _known(content["input"], bundle.Input)
        if seen.get("masks") is not None:
            seen["masks"] = (WINDOWS if seen["windows"] else MaskSettings()).model_dump(mode="json")
        known = {"format": bundle.FORMAT, "input": seen, "calibration": calibration}
        write_json(path, {**content, **known})


def _known(content: dict[str, Any], record: type[Record]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name in record.model_fields}


def choose_levels(shared: Shared) -> None:
    """Write thresholds into the classifier's run as its training would choose them now; gates stay."""
    trained = shared.classifier
    run = trained.run
    calibration = trained.calibrate(run.classifier)
    run.metadata = run.metadata.model_copy(update={"calibration": calibration})
    bundle.save_metadata(run.path, run.metadata)


def commit() -> str:
    """Hash of the commit of the relmask that is measured, marked where files differ from it."""
    describe = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    folder = Path(relmask.__file__).parent
    said = subprocess.run(describe, cwd=folder, capture_output=True, text=True, check=False)
    return said.stdout.strip() or "unknown"


def show(task: str, done: int, total: int, note: str = "") -> None:
    """Tell of progress on stderr, at most twice a second."""
    now = time.monotonic()
    if done < total and now - _shown.get(task, 0.0) < 0.5:
        return
    _shown[task] = now
    print(
        f"\r\033[K{task} {done}/{total} {note}", end="" if done < total else "\n", flush=True, file=sys.stderr
    )


_shown: dict[str, float] = {}


def main() -> None:
    """Measure what is asked and not measured yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?", help="folder of the real sets, such as coffee/")
    parser.add_argument("-o", "--out", type=Path, default=Path("runs/portfolio"))
    parser.add_argument(
        "--set", nargs="+", choices=(*SETS, "textures"), metavar="NAME", help=f"of {', '.join(SETS)}"
    )
    parser.add_argument("--seed", type=int, nargs="+", default=[0], help="default: 0")
    parser.add_argument("--method", nargs="+", choices=CHOICES, default=DEFAULT_METHODS)
    parser.add_argument("--recalibrate", type=Path, metavar="RUNS", help="judge the networks of RUNS anew")
    parser.add_argument("--page", action="store_true", help="measure nothing, write docs/portfolio.md")
    given = parser.parse_args()
    out = given.out.resolve()
    if given.page:
        found = (Result.model_validate_json(path.read_bytes()) for path in sorted(out.glob(f"*/*/{RESULT}")))
        update_page([figure for result in found for figure in result.figures()])
        return
    if given.data is None:
        parser.error("name the folder of the real sets")
    asked = given.set or list(SETS)
    names = [name for one in asked for name in (TEXTURES if one == "textures" else (one,))]
    runs = given.recalibrate and given.recalibrate.resolve()
    for name in names:
        for seed in given.seed:
            judge = Judge(out, name, SETS[name], seed, given.data.resolve(), runs=runs, progress=show)
            for method in given.method:
                print(f"{name}, seed {seed}, {method}", file=sys.stderr)
                for figure in judge.result(method).figures():
                    print(json.dumps(figure), flush=True)


if __name__ == "__main__":
    main()
