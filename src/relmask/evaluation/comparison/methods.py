"""All methods of a comparison, each in one place: a name, what it saw, and how it gets ready."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch

from relmask.data.decoding import image_size
from relmask.data.image_cache import ImageCache
from relmask.data.tiles import windows
from relmask.errors import DataError, UsageError
from relmask.evaluation.comparison.attributions import (
    ATTRIBUTIONS,
    AttributionModel,
    NotApplicable,
    require_captum,
)
from relmask.evaluation.comparison.baselines import ControlModel, NeighbourModel, UntrainedHead
from relmask.evaluation.comparison.published import PerImage, forest, one_threshold, seibold
from relmask.evaluation.comparison.schema import Saw
from relmask.evaluation.comparison.shared import EPOCHS, Shared, Trained
from relmask.evaluation.controls import CONTROLS, Control, untrained
from relmask.evaluation.measure import DEFECT
from relmask.inference.explained import ExplainedClassifier
from relmask.inference.model import Model
from relmask.inference.relevance import RelevanceModel
from relmask.inference.run import Run
from relmask.inference.segmenter import Segmenter
from relmask.lrp.composites import PRESETS, epsilon_gamma_box
from relmask.masks.thresholds import Calibration

UNET = "unet"
"""The baseline."""
REFERENCES = 8
"""Clean pictures that gradients start from."""


@dataclass(frozen=True)
class Contender:
    """A method, trained and with thresholds.

    Attributes:
        model: pictures -> a logit and a map a class.
        classes: names of its classes; `DEFECT` where it tells defect from background only.
        calibration: thresholds that saw no test mask.
        train_seconds: None where nothing was trained.
        segmenter: what makes masks of logits and maps.
        note: where it got less than others.
    """

    model: Model
    classes: tuple[str, ...]
    calibration: Calibration
    train_seconds: float | None
    note: str = ""
    segmenter: Callable[[Model, tuple[str, ...], Calibration], Segmenter] = Segmenter


@dataclass(frozen=True)
class Method:
    """A line of the comparison.

    Attributes:
        prepare: trains and calibrates, see `Contender`.
        saw: what that takes.
        captum: is captum needed?
    """

    prepare: Callable[[Shared], Contender]
    saw: tuple[Saw, ...] = field(default=("labels", "clean images"))
    captum: bool = False


def relmask(shared: Shared) -> Contender:
    """What `relmask train` gives."""
    trained = shared.classifier
    run = trained.run
    return Contender(run.model, run.metadata.classes, trained.calibration, trained.seconds)


def preset(name: str, shared: Shared) -> Contender:
    """The same classifier under another composite."""
    model = shared.classifier.run.classifier
    if name == model.composite:
        raise NotApplicable("It is the default of this classifier: see relmask.")
    return _explained(model.with_composite(name), shared.classifier)


def attribution(name: str, shared: Shared) -> Contender:
    """The same classifier under another kind of explanation."""
    trained, chosen = shared.classifier, ATTRIBUTIONS[name]
    classifier = trained.run.classifier
    model = AttributionModel(classifier, chosen, _clean_images(shared, classifier))
    if not chosen.steps:
        return _explained(model, trained)
    cache = ImageCache(trained.part.samples[:1], model.spec.size, model.spec.intensity, memory=0)
    image = cache.batch([0])[0]
    expected = len(shared.test) * _windows(shared) + 32 * len(trained.calibration.classes)
    seconds = 0.7 * shared.settings.seconds / expected
    model.steps = int(shared.kept(f"{name}-steps", lambda: model.affordable(image, seconds)))
    few = f"{model.steps} of {chosen.steps} steps, as time allows" if model.steps < chosen.steps else ""
    return _explained(model, trained, few)


def random_head(shared: Shared) -> Contender:
    """Gates of the trained classifier, relevance of one whose head was never trained."""
    model = shared.classifier.run.classifier
    return _explained(UntrainedHead(model, untrained(model, shared.settings.seed)), shared.classifier)


def control(chosen: Control, shared: Shared) -> Contender:
    """A score that knows nothing of the defect."""
    model = ControlModel(chosen, shared.classifier.run.metadata.input, shared.device)
    return Contender(model, DEFECT, shared.calibrate_one(model), None)


def one_class(shared: Shared) -> Contender:
    """Nearest neighbours among features of clean training pictures."""
    began = time.perf_counter()
    training, _ = shared.parts
    clean = [sample for sample in training.samples if not sample.labels]
    if not clean:
        raise NotApplicable("A one-class detector needs clean pictures, and there are none to learn from.")
    model = NeighbourModel(shared.classifier.run.metadata.input, shared.device)
    pictures = ImageCache(clean, model.spec.size, model.spec.intensity, memory=0)
    model.learn(pictures.batch, len(clean), shared.settings.seed)
    calibration = shared.calibrate_one(model)
    return Contender(model, DEFECT, calibration, time.perf_counter() - began)


def published_seibold(shared: Shared) -> Contender:
    """VGG, LRP from the class's logit, one threshold on relevance."""
    trained = shared.vgg
    model = seibold(trained)
    return Contender(
        model,
        trained.run.metadata.classes,
        one_threshold(trained, model),
        trained.seconds,
        _shortened(trained.run),
    )


def published_forest(shared: Shared) -> Contender:
    """VGG, relevance from both logits, a threshold for each picture from itself."""
    trained = shared.vgg
    return Contender(
        forest(trained, "both"),
        trained.run.metadata.classes,
        trained.calibration,
        trained.seconds,
        _shortened(trained.run),
        PerImage,
    )


def corrected_forest(shared: Shared) -> Contender:
    """The same VGG and rules, from the class's logit minus that of clean, with calibrated thresholds."""
    return _explained(forest(shared.vgg, "contrast"), shared.vgg, _shortened(shared.vgg.run))


def student(shared: Shared) -> Contender:
    """What `relmask distil` gives: a U-Net trained on relmask's own masks of the training pictures."""
    run, seconds = shared.student
    return Contender(run.model, run.metadata.classes, run.segmenter.calibration, seconds)


def unet(shared: Shared) -> Contender:
    """A U-Net trained on true masks, tuned on those of validation."""
    try:
        run, seconds = shared.unet
    except DataError as error:
        raise NotApplicable(str(error)) from error
    notes = [_shortened(run)]
    if seconds < shared.classifier.seconds:
        notes.append("trained for less time than relmask")
    return Contender(
        run.model, run.metadata.classes, run.segmenter.calibration, seconds, "; ".join(filter(None, notes))
    )


METHODS: dict[str, Method] = {
    "relmask": Method(relmask),
    "student": Method(student),
    UNET: Method(unet, ("labels", "clean images", "masks")),
    **{f"relmask/{name}": Method(partial(preset, name)) for name in (*PRESETS, epsilon_gamma_box.__name__)},
    "seibold2022": Method(published_seibold),
    "forest2024": Method(published_forest),
    "forest2024-corrected": Method(corrected_forest),
    **{
        name: Method(partial(attribution, name), captum=chosen.captum)
        for name, chosen in ATTRIBUTIONS.items()
    },
    **{chosen.name: Method(partial(control, chosen)) for chosen in CONTROLS},
    "random-head": Method(random_head),
    "one-class": Method(one_class),
}


def named(names: Sequence[str]) -> dict[str, Method]:
    """The methods of these names; all of them without any.

    Raises:
        UsageError: no such method, or captum is needed and not installed.
    """
    if unknown := [name for name in names if name not in METHODS]:
        raise UsageError(f"No method {', '.join(unknown)}. There are: {', '.join(METHODS)}.")
    chosen = {name: method for name, method in METHODS.items() if not names or name in names}
    if any(method.captum for method in chosen.values()):
        require_captum()
    return chosen


def _shortened(run: Run) -> str:
    epochs = run.metadata.settings["epochs"]
    return f"{epochs} of {EPOCHS} epochs, as time allows" if epochs < EPOCHS else ""


def _windows(shared: Shared) -> int:
    """Images that a test picture is cut into, about."""
    spec = shared.classifier.run.metadata.input
    if not spec.windows:
        return 1
    height, width = image_size(shared.test[0].path)
    return len(windows(height, width, spec.size, spec.size // 2))


def _explained(model: RelevanceModel, trained: Trained, note: str = "") -> Contender:
    classes = trained.run.metadata.classes
    return Contender(model, classes, trained.calibrate(model), trained.seconds, note)


def _clean_images(shared: Shared, model: ExplainedClassifier) -> torch.Tensor:
    clean = [sample for sample in shared.parts[0].samples if not sample.labels]
    chosen = clean[:: max(1, len(clean) // REFERENCES)][:REFERENCES]
    if not chosen:
        return torch.zeros(0, 3, model.spec.size, model.spec.size)
    pictures = ImageCache(chosen, model.spec.size, model.spec.intensity, memory=0)
    return pictures.batch(range(len(chosen)))
