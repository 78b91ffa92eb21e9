"""Train a run: a folder of labelled pictures in, a model with its thresholds out."""

import shlex
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from pydantic import ValidationError
from torch import nn

from relmask import __version__
from relmask.calibration.floors import choose_floors
from relmask.calibration.from_labels import choose_thresholds, otsu
from relmask.checks import check_samples
from relmask.data.index import Index, Sample, read_index
from relmask.data.labelled import Labelled, readable
from relmask.data.reading import measure_intensity
from relmask.data.splits import Split, assign, write_split
from relmask.errors import UsageError
from relmask.files import write_json
from relmask.inference.explained import ExplainedClassifier
from relmask.inference.run import Run, find_device
from relmask.masks.gates import too_few_negatives
from relmask.models import bundle
from relmask.models.kept_scores import write_scores
from relmask.out import prepared
from relmask.progress import Progress, silent
from relmask.training.arithmetic import Arithmetic, arithmetic_of
from relmask.training.classifier import Fitter, fitter_of
from relmask.training.effort import FULL, Effort
from relmask.training.folder import CHECK, CHECKPOINTS, RUN, SIZES
from relmask.training.plan import Plan, Settings, plans
from relmask.training.report import judge, write_history, write_training_report
from relmask.training.scores import scores_of
from relmask.training.sizes import fitter_of_best_size

CALLER = 5
"""Level in the stack of who called `train`, past its decorators: where a warning of `_trained` points to."""


@torch.inference_mode(False)  # tensors that are made here must take gradients, whatever the caller chose
@torch.enable_grad()
def train(
    data: Path | str,
    out: Path | str,
    *,
    model: nn.Module | None = None,
    backbone: str = "efficientnet-lite0",
    epochs: int | None = None,
    size: int | None = None,
    weights: Path | str | None = None,
    finetune: bool = False,
    clean: str | None = None,
    resplit: Literal["grouped", "random"] | None = None,
    seed: int = 0,
    batch_size: int = 16,
    composite: str | None = None,
    false_alarms: float = 0.01,
    device: str = "auto",
    precision: str = "32-true",
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
    effort: Effort = FULL,
) -> Run:
    """Train a classifier from image-level labels and choose its thresholds; no mask is read.

    Args:
        data: DATA, see the README: a CSV, a folder with index.csv, an MVTec folder, or a folder a class.
        out: folder of the run.
        model: a module of your own, normalised images (N, 3, H, W) -> logits (N, K), K = number of defect
            classes; it is trained in place. None: `backbone` with relmask's guided pooling.
        backbone: network that the features come from, a key of `relmask.models.zoo.ZOO`; or several, joined
            by +, whose features stand side by side.
        epochs: epochs of 50 batches; None: 6 where the backbone stays as it is, 12 with `finetune`, 20 from
            scratch.
        size: side of the model's input in pixels, at least 32; None: that of DATA's patches, else 256 or 512,
            at which images of unseen groups are judged better (sizes.json); 448 with dinov2-small, and 256
            with `finetune`, from scratch or with a module of your own.
        weights: file of weights of the backbone, of several the last one, safetensors or a state dict; None:
            those of its package or of the cache. A backbone without any is trained from scratch.
        finetune: train the backbone, too, from its weights on.
        clean: name of the clean class; None: ok, good, free, normal or clean, whichever is there.
        resplit: draw new splits, by group or by picture, instead of those of DATA.
        seed: seed of splits, fresh weights, batches and augmentation.
        batch_size: pictures in a batch, at least 2.
        composite: LRP rules that explain, a name of `relmask.lrp.composites`; None: what suits the model.
        false_alarms: share of the clean pictures that may get a mask, 0 <= share < 1.
        device: "auto", "cpu", "cuda", or another that torch knows.
        precision: "32-true": float32, or "bf16-mixed": large products in bfloat16, faster where a GPU has it.
        resume: go on after the last checkpoint in `out`; the result equals an uninterrupted training.
        overwrite: replace what is in `out`.
        progress: called after every step.
        effort: how long an epoch is, and how much is looked at afterwards; tests ask for little.

    Returns:
        The run, as `load(out)` gives it.

    Raises:
        DataError: the data cannot be used.
        OutError: `out` cannot be written, or holds something else.
        UsageError: a setting out of range, settings that contradict each other, no such backbone, composite,
            device or precision, or a module without a logit a class.
        RunError: weights that cannot be read, or are of another network.
        UnsupportedModel: a module that LRP cannot explain.
    """
    settings = _settings(
        backbone=backbone,
        epochs=epochs,
        size=size,
        weights=weights,
        finetune=finetune,
        clean=clean,
        resplit=resplit,
        seed=seed,
        batch_size=batch_size,
        composite=composite,
        false_alarms=false_alarms,
    )
    data, out = Path(data), Path(out)
    index = read_index(data, clean)
    split = assign(index, seed=seed, resplit=resplit)
    intensity = measure_intensity([sample.path for sample in split.index.part("train")])
    arithmetic = arithmetic_of(find_device(device), precision)
    candidates = []
    for chosen in plans(settings, data, index, intensity, own=model is not None, effort=effort):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = model or _network(chosen, settings, len(index.classes))
        classifier = ExplainedClassifier(
            network, chosen.input, chosen.composite, arithmetic.device, batch_size
        )
        classifier.require(len(index.classes))
        candidates.append((chosen, classifier))
    wanted = {"settings": settings.model_dump(mode="json"), "data": split.index.fingerprint}
    with prepared(out, RUN, wanted, resume=resume, overwrite=overwrite):
        return _trained(data, out, index, split, settings, candidates, arithmetic, progress)


def _trained(
    data: Path,
    out: Path,
    index: Index,
    split: Split,
    settings: Settings,
    candidates: Sequence[tuple[Plan, ExplainedClassifier]],
    arithmetic: Arithmetic,
    progress: Progress,
) -> Run:
    """The run of the best of some plans, trained and written into a folder that was prepared for it."""
    parts = [split.index.part(name) for name in ("train", "val")]
    write_split(split, out / "split.csv")
    for warning in split.warnings:
        warnings.warn(warning, stacklevel=CALLER)
    training, validation = (
        Labelled.of(readable(part, progress, needed=part is parts[0]), index.classes) for part in parts
    )

    def make(plan: Plan, model: ExplainedClassifier, training: Labelled, validation: Labelled) -> Fitter:
        def told(task: str, done: int, total: int, note: str = "") -> None:
            progress(f"{task} at {plan.input.size} px", done, total, note)

        tell = told if len(candidates) > 1 else progress
        return fitter_of(model, plan, arithmetic, settings.seed, tell, training, validation)

    fitter = fitter_of_best_size(candidates, make, training, validation, out / SIZES)
    chosen = fitter.plan
    history = fitter.fit(out / CHECKPOINTS)
    write_history(history, out / "history.csv")
    logits = fitter.logits()
    kept = scores_of(fitter, logits, settings.false_alarms)
    clean = [sample for part in (validation, training) for sample in part.samples if not sample.labels]
    calibration = choose_thresholds(
        kept.scores,
        otsu,
        index.classes,
        settings.false_alarms,
        floors=lambda gated: choose_floors(fitter.model, clean, gated, progress, chosen.effort.explained),
        cross_fitted="cross-fitted" in kept.sources,
        clean_known=any(not sample.labels for sample in index.samples),
    )
    if said := too_few_negatives(calibration, index.clean):
        warnings.warn(said, stacklevel=CALLER)
        split = replace(split, warnings=(*split.warnings, said))
    metadata = bundle.Metadata(
        relmask=__version__,
        architecture=chosen.architecture,
        classes=index.classes,
        clean=index.clean,
        input=chosen.input,
        composite=chosen.composite,
        calibration=calibration,
        split=split_kind(index, settings.resplit),
        data=str(data.resolve()),
        fingerprint=index.fingerprint,
        settings=settings.model_dump(mode="json"),
        command=shlex.join(sys.argv),
    )
    write_scores(out, kept, index.classes)
    bundle.save(out, fitter.network, metadata)
    run = Run(out, metadata, fitter.model)
    if chosen.effort.checked:
        _check(run, (*validation.samples, *training.samples), chosen.effort.checked, progress)
    judged = judge(validation.samples, logits[1].double().numpy(), calibration)
    write_training_report(run, split, history, judged, out / "report.html", progress)
    return run


def _check(run: Run, samples: Sequence[Sample], pictures: int, progress: Progress) -> None:
    """Are the masks evidence? A short look, kept as check.json; a failure warns."""
    found = check_samples(run, samples, pictures=pictures, stages=2, progress=progress)
    write_json(run.path / CHECK, found.model_dump(mode="json"))
    if not found.passed:
        warnings.warn(f"{found.verdict} Details: {run.path / CHECK}", stacklevel=CALLER + 1)


def _settings(**choices: object) -> Settings:
    try:
        settings = Settings.model_validate(choices)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, line['loc']))}: {line['msg']}" for line in error.errors())
        raise UsageError(f"These settings cannot be: {wrong}.") from None
    # Absolute, so that the same file, however it is named, resumes a training, and `distil` finds it.
    return settings.model_copy(update={"weights": settings.weights and settings.weights.absolute()})


def _network(chosen: Plan, settings: Settings, classes: int) -> nn.Module:
    if chosen.architecture is None:
        raise UsageError("A plan without an architecture needs a module of your own.")
    network = bundle.build(chosen.architecture, classes, chosen.input.size, weights=settings.weights)
    if chosen.frozen:
        network.features.requires_grad_(False)
    return network


def split_kind(
    index: Index, resplit: Literal["grouped", "random"] | None
) -> Literal["given", "grouped", "random"]:
    """Where the split of a training comes from."""
    if resplit:
        return resplit
    return "given" if any(sample.split for sample in index.samples) else "grouped"
