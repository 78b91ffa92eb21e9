"""A trained model as files: weights, and what is needed to use them."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, overload

from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as save_state
from torch import Tensor, nn

from relmask.data.reading import Intensity
from relmask.errors import RunError
from relmask.files import write_bytes, write_text
from relmask.masks.settings import MaskSettings
from relmask.masks.thresholds import Calibration
from relmask.models.features import Features, View
from relmask.models.guided import GuidedClassifier, GuidedScores
from relmask.models.image_novelty import NearestImages
from relmask.models.novelty import Novelty
from relmask.models.unet import UNet, unet
from relmask.models.zoo import trunk
from relmask.record import Record

FORMAT = 4
METADATA = "relmask.json"
WEIGHTS = "model.safetensors"
NEAREST = "novelty_score.nearest"
"""Name, in a guided classifier, of its distance to the training images."""


class BackboneView(Record):
    """A backbone, and how it sees an image."""

    backbone: str
    taps: tuple[int, ...]
    margin: int = Field(ge=0, description="Pixels by which an image is continued by its mirror.")
    stride: int = Field(gt=0, description="Pixels between two locations of the features.")
    size: int | None = Field(
        default=None, gt=0, description="Side in pixels of what it sees of an input; None: the input's own."
    )

    def __str__(self) -> str:
        """Its name, and the size where it has one of its own."""
        return self.backbone if self.size is None else f"{self.backbone} at {self.size} px"


class Architecture(BackboneView):
    """What to build before the weights are loaded."""

    plain: bool = Field(default=False, description="Are the taps used as they come, see `Features`?")
    hidden: int = Field(ge=0, description="Channels of the head's hidden layer, 0 for none.")
    novelty_groups: int = Field(ge=0, description="Gaussians of the novelty, 0 for none.")
    beside: tuple[BackboneView, ...] = Field(
        default=(), description="Backbones whose features stand beside the first one's."
    )

    def __str__(self) -> str:
        """The names of all backbones."""
        return " + ".join(map(str, (super().__str__(), *self.beside)))


class UNetArchitecture(Record):
    """What to build where a network segments: a U-Net."""

    backbone: str = Field(description="Encoder of the U-Net.")

    def __str__(self) -> str:
        """The name of the encoder."""
        return self.backbone


class Input(Record):
    """How a picture becomes the model's input."""

    size: int = Field(gt=0, description="Side in pixels of what the model sees.")
    windows: bool = Field(description="Are larger pictures cut into windows of that size, or resized to it?")
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    standardised: bool = Field(
        default=False,
        description="Is each image normalised by its own mean and spread, instead of `mean` and `std`?",
    )
    masks: MaskSettings | None = Field(
        default=None,
        description="How relevance becomes masks; None: maps are cut as the model gives them.",
    )
    intensity: Intensity

    def without_support(self) -> "Input":
        """The same, but masks are cut from maps as the model gives them, not from support."""
        return self.model_copy(update={"masks": None})


class Metadata(Record):
    """The content of relmask.json: what a run is, and how its network is used."""

    format: int = FORMAT
    relmask: str
    architecture: Architecture | UNetArchitecture | None = Field(description="None for a user's own model.")
    classes: tuple[str, ...]
    clean: str | None
    input: Input
    composite: str
    calibration: Calibration | None
    trained_on_masks: bool = Field(default=False, description="Did training see true or corrected masks?")
    split: Literal["given", "grouped", "random"]
    data: str = Field(description="Path of the data that the run was trained on.")
    fingerprint: str = Field(description="SHA-256 of the data that the run was trained on.")
    settings: Mapping[str, Any]
    command: str

    @property
    def saw_masks(self) -> bool:
        """Did a true or corrected mask help, in training or to choose a threshold? Else labels alone did."""
        return self.trained_on_masks or (self.calibration is not None and self.calibration.saw_masks)


@overload
def build(
    architecture: Architecture,
    classes: int,
    size: int,
    *,
    weights: Path | None = None,
    pretrained: bool = True,
) -> GuidedClassifier: ...
@overload
def build(
    architecture: Architecture | UNetArchitecture,
    classes: int,
    size: int,
    *,
    weights: Path | None = None,
    pretrained: bool = True,
) -> GuidedClassifier | UNet: ...
def build(
    architecture: Architecture | UNetArchitecture,
    classes: int,
    size: int,
    *,
    weights: Path | None = None,
    pretrained: bool = True,
) -> GuidedClassifier | UNet:
    """The model that an architecture describes, its novelty, head and decoder not fitted yet.

    Args:
        architecture: what to build.
        classes: number of logits or maps.
        size: side of the input.
        weights: file of weights of the backbone, of several the last one; None for a backbone's own.
        pretrained: without a file, take a backbone's own weights.

    Raises:
        UsageError: no such backbone.
        RunError: the file of weights does not fit.
    """
    if isinstance(architecture, UNetArchitecture):
        return unet(architecture.backbone, classes, weights, pretrained)
    views = (architecture, *architecture.beside)
    files = [*(None for _ in views[1:]), weights]
    trunks = [
        trunk(view.backbone, file, pretrained, taps=view.taps)
        for view, file in zip(views, files, strict=True)
    ]
    first = trunks[0]
    sizes = [None if view.size is None else (view.size, size) for view in views]
    beside = [
        View(eyes, view.margin, view.stride, architecture.plain, seen, (first.mean, first.std))
        for eyes, view, seen in zip(trunks[1:], architecture.beside, sizes[1:], strict=True)
    ]
    features = Features(first, architecture.margin, architecture.stride, architecture.plain, sizes[0], beside)
    novelty = None
    if architecture.novelty_groups:
        novelty = Novelty(features.channels, features.grid(size), architecture.novelty_groups)
    return GuidedClassifier(GuidedScores(features, classes, novelty, architecture.hidden))


def save(run: Path, model: nn.Module, metadata: Metadata) -> None:
    """Write weights and metadata; the metadata come last, so a run with them is whole."""
    # Cloned, since the file may not hold tensors that share memory, as tied weights do.
    state = {name: value.detach().cpu().contiguous().clone() for name, value in model.state_dict().items()}
    write_bytes(run / WEIGHTS, save_state(state))  # save_file tells of a full disk in an error of its own
    save_metadata(run, metadata)


def save_metadata(run: Path, metadata: Metadata) -> None:
    """Write relmask.json anew; the weights stay as they are."""
    write_text(run / METADATA, metadata.model_dump_json(indent=2) + "\n")


def read_metadata(run: Path) -> Metadata:
    """The metadata of a run.

    Raises:
        RunError: not a run, made by a newer relmask, or damaged.
    """
    path = run / METADATA
    if not path.is_file():
        hint = (
            " Its training did not finish: go on with `relmask train ... --resume`." if run.is_dir() else ""
        )
        raise RunError(f"{run} is not a run: there is no {METADATA}.{hint}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and isinstance(found := content.get("format"), int):
            if found > FORMAT:
                raise RunError(f"{run} has format {found}, this relmask reads {FORMAT}: update relmask.")
            if found < FORMAT:
                raise RunError(
                    f"{run} was trained by an earlier relmask (format {found}, this one reads {FORMAT}), "
                    "with networks or masks of another kind. Train it again into another folder: "
                    f"relmask train {content.get('data', 'DATA')} -o NEW_RUN"
                )
        return Metadata.model_validate(content)
    except (ValueError, OSError) as error:
        raise RunError(f"{path} cannot be read; is it damaged, or was it edited?\n{error}") from error


def fingerprint(run: Path) -> str:
    """SHA-256 of what decides about masks: the weights, and the description with the thresholds."""
    digest = hashlib.sha256()
    for name in (METADATA, WEIGHTS):
        with (run / name).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def load_model(run: Path, metadata: Metadata, model: nn.Module | None = None) -> nn.Module:
    """The model of a run with its weights, in eval mode.

    Args:
        run: folder of the run.
        metadata: of the run.
        model: needed where the run was trained on a user's own module: that module.

    Raises:
        RunError: the weights are absent, damaged or of another model.
    """
    if model is None:
        if metadata.architecture is None:
            raise RunError(
                f"{run} was trained on a module of your own: pass it as relmask.load(run, model=...)."
            )
        model = build(metadata.architecture, len(metadata.classes), metadata.input.size, pretrained=False)
    try:
        state: dict[str, Tensor] = load_file(run / WEIGHTS)
        if isinstance(model, GuidedClassifier) and f"{NEAREST}.seen" in state:
            clean = len(state.get(f"{NEAREST}.clean", ()))
            nearest = NearestImages(*state[f"{NEAREST}.seen"].shape, clean=clean)
            model = GuidedClassifier(model.scores, nearest)
        model.load_state_dict(state)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise RunError(
            f"{run / WEIGHTS} cannot be loaded: {error}. Train again, or copy it again."
        ) from error
    return model.eval()
