"""A run on a split of its data: metrics.json, curves, the worst cases, a report."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from relmask.data.index import Index, Sample, read_index
from relmask.data.splits import SplitLine, placed, read_split
from relmask.data.truth import truth_fingerprint, warn_of_missing_masks
from relmask.evaluation import pages
from relmask.evaluation.controls import CONTROLS, Control
from relmask.evaluation.measure import looks_of, measure, measure_control
from relmask.evaluation.metrics import Metrics, PixelScores, ThresholdScores
from relmask.evaluation.results import CONTENTS, write_results
from relmask.formats.corrected import corrected
from relmask.inference.run import Run
from relmask.masks.thresholds import Calibration
from relmask.models import bundle
from relmask.out import prepared
from relmask.progress import Progress, silent
from relmask.training.report import check_verdict, run_facts, threshold_table


def evaluate(
    run: Run,
    data: Path | str,
    out: Path | str,
    *,
    split: Literal["train", "val", "test"] = "test",
    masks: Path | str | None = None,
    clean: str | None = None,
    controls: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Metrics:
    """Compare a run's masks with true ones: metrics.json, curves, worst cases and a report in `out`.

    Args:
        run: with thresholds, as `relmask.load` or `relmask.train` gives it.
        data: DATA with true masks; may be other data than those of the run.
        out: folder; it is made.
        split: part of the data. The run's own split.csv decides for the pictures that the run knows.
        masks: true masks instead of those that DATA names, in any format that relmask reads.
        clean: name of the clean class; None: what the run calls it.
        controls: also score darkness and a local Otsu threshold, each with the level that is best here.
        overwrite: replace an evaluation of other settings in `out`.
        progress: called after every image.

    Returns:
        The content of metrics.json.

    Raises:
        RunError: the run has no thresholds, or no split.csv.
        DataError: the data cannot be used, or the split has no image that can be judged.
        OutError: `out` cannot be written, or holds an evaluation of other settings.
    """
    index = read_index(Path(data), clean, run.metadata.clean)
    if masks is not None:
        index = corrected(index, Path(masks))
    return evaluate_index(
        run,
        index,
        split,
        Path(out),
        controls=CONTROLS if controls else (),
        overwrite=overwrite,
        progress=progress,
    )


def evaluate_index(
    run: Run,
    index: Index,
    split: str,
    out: Path,
    *,
    controls: Sequence[Control] = (),
    overwrite: bool = False,
    progress: Progress = silent,
) -> Metrics:
    """Segment a split and compare with its true masks; see `write_results` for what is left in `out`.

    Args:
        run: trained run with thresholds.
        index: the data, which need not be those of the run.
        split: train, val or test, see `choose`.
        out: folder of the results; it is made.
        controls: controls to score beside the run, each with the threshold that is best on the same images.
        overwrite: replace an evaluation of other settings in `out`.
        progress: called after every image.

    Raises:
        RunError: the run has no thresholds, or no split.csv.
        DataError: the split has no image that can be read, together with its true mask if it has one.
        OutError: `out` cannot be written, or holds an evaluation of other settings.
    """
    segmenter, lines = run.segmenter, read_split(run.path / "split.csv")
    samples = choose(index.samples, split, lines)
    warn_of_missing_masks(samples)
    settings = {
        "run": bundle.fingerprint(run.path),
        "data": index.fingerprint,
        "masks": truth_fingerprint(samples, index),
        "split": split,
        "controls": [control.name for control in controls],
    }
    with prepared(out, CONTENTS, settings, overwrite=overwrite):
        measured = measure(
            segmenter.segment_images,
            samples,
            index,
            classes=segmenter.classes,
            intensity=segmenter.intensity,
            look=looks_of(segmenter.model, segmenter.classes),
            on_image=lambda done: progress("evaluating", done, len(samples)),
        )
        metrics = measured.metrics(
            split=split,
            grouped=run.metadata.split != "random" and not shared_groups(samples, split, lines),
            threshold=threshold_scores(segmenter.calibration, saw_masks=run.metadata.saw_masks),
        )
        others: dict[str, PixelScores] = {}
        for number, control in enumerate(controls, start=1):
            _, found = measure_control(control, samples, index, intensity=segmenter.intensity)
            others[control.name] = found.tally.pixel()
            progress("controls", number, len(controls))
        calibration = segmenter.calibration
        more = [
            *([pages.controls(metrics, others)] if others else []),
            *check_verdict(run.path),
            threshold_table(calibration),
            run_facts(run.metadata),
        ]
        write_results(
            out,
            metrics,
            measured,
            title=f"{run.path.name} on {index.root.name}",
            more=more,
            gate=calibration.gate_score,
            about=f"relmask evaluate: masks of {run.path} against the true masks of {index.root}",
        )
        return metrics


def choose(samples: Sequence[Sample], split: str, lines: Mapping[str, SplitLine]) -> tuple[Sample, ...]:
    """The samples of a split.

    See `placed`; an image that neither the run (`lines`: its split.csv by name) nor the index places is new,
    and may be tested.
    """
    places = placed(samples, lines, "test")
    return tuple(sample for sample, place in zip(samples, places, strict=True) if place == split)


def shared_groups(samples: Sequence[Sample], split: str, lines: Mapping[str, SplitLine]) -> set[str]:
    """Groups of these samples of which the run has images in another split."""
    return {sample.group for sample in samples} & {
        line.group for line in lines.values() if line.split != split
    }


def threshold_scores(calibration: Calibration, *, saw_masks: bool) -> ThresholdScores:
    """Levels of the thresholds, and whether a true mask helped to make the run, as metrics.json has them."""
    return ThresholdScores(
        level={name: threshold.level for name, threshold in calibration.classes.items()},
        saw_masks=saw_masks,
    )
