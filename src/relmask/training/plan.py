"""What a training will do, decided before it begins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field

from relmask.data.index import Index
from relmask.data.patches import patch_size
from relmask.data.reading import Intensity
from relmask.errors import UsageError
from relmask.masks.settings import WINDOWS, MaskSettings
from relmask.models.bundle import Architecture, BackboneView, Input
from relmask.models.trunk import Backbone
from relmask.models.zoo import find
from relmask.record import Record
from relmask.training.effort import FULL, Effort
from relmask.training.loop import Schedule

JOINED = "+"
"""Joins the names of backbones whose features stand side by side."""
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Settings(Record):
    """What a user may choose of a training; the same settings and data give the same run."""

    backbone: str = Field(default="efficientnet-lite0", description="Name, or several joined by +.")
    epochs: int | None = Field(default=None, gt=0, description="None: 6 of 50 batches, 20 from scratch.")
    size: int | None = Field(
        default=None,
        ge=32,
        description="Side of the input in pixels; None: a patch's, else chosen from labels.",
    )
    weights: Path | None = Field(
        default=None, description="File of weights of the (last) backbone; None: its own, if any."
    )
    finetune: bool = Field(default=False, description="Train the backbone, too.")
    clean: str | None = Field(
        default=None,
        description="Name of the clean class; None: ok, good, free, normal or clean, whichever is there.",
    )
    resplit: Literal["grouped", "random"] | None = None
    seed: int = 0
    batch_size: int = Field(default=16, gt=1)
    composite: str | None = Field(
        default=None, description="Rules that explain; None: the backbone's default."
    )
    false_alarms: float = Field(default=0.01, ge=0, lt=1)


@dataclass(frozen=True)
class Plan:
    """Settings with their gaps filled.

    Attributes:
        architecture: None for a user's own module.
        frozen: is the trunk left as it is, and its features computed once?
        composite: name of the rules that explain.
        schedule: how long and how fast.
        effort: how much is looked at once the training is through.
    """

    architecture: Architecture | None
    frozen: bool
    input: Input
    composite: str
    schedule: Schedule
    effort: Effort


def plans(
    settings: Settings,
    data: Path,
    index: Index,
    intensity: Intensity,
    *,
    own: bool = False,
    effort: Effort = FULL,
) -> tuple[Plan, ...]:
    """Plans for the sizes that images may be seen at, smallest first, see `plan`.

    There are two, the backbone's size and twice that, where the user names none and the features of
    convolutions are computed once: a transformer would take sixteen times as long.
    """
    first = plan(settings, data, index, intensity, own=own, effort=effort)
    if settings.size or not effort.compared or not first.frozen or first.input.windows:
        return (first,)
    names = () if own else settings.backbone.split(JOINED)
    with torch.device("meta"):
        if any(find(name.strip()).build(deepest=0).multiple > 1 for name in names):
            return (first,)
    larger = settings.model_copy(update={"size": 2 * first.input.size})
    return first, plan(larger, data, index, intensity, own=own, effort=effort)


def plan(
    settings: Settings,
    data: Path,
    index: Index,
    intensity: Intensity,
    *,
    own: bool = False,
    effort: Effort = FULL,
) -> Plan:
    """Fill the gaps of `settings` for a data set.

    Args:
        settings: what the user chose.
        data: DATA; a folder of patches knows their size.
        index: samples and classes of DATA.
        intensity: of its pictures.
        own: does the user bring a module?
        effort: how long an epoch is, and how much is looked at once the training is through.

    Raises:
        UsageError: no such backbone, settings that contradict each other, or another size than the patches'.
    """
    patch = patch_size(data)
    if patch and settings.size not in (None, patch):
        raise UsageError(
            f"{data} holds patches of {patch} px, and the model sees them and windows of that size in larger "
            f"pictures as they are. Leave out --size {settings.size}, or cut patches of that size: "
            f"relmask patches DATA -o NEW_PATCHES --size {settings.size}"
        )
    names = () if own else tuple(name.strip() for name in settings.backbone.split(JOINED))
    pretrained = _pretrained(names, settings)
    if settings.finetune and not pretrained:
        raise UsageError(
            f"--finetune opens pretrained weights, and {settings.backbone} has none: leave it out to train "
            "from scratch, or pass --weights FILE."
        )
    frozen = pretrained and not settings.finetune
    with torch.device("meta"):  # draws no random numbers
        built = {name: find(name).build(deepest=0) for name in names}
    size = settings.size or patch or max([backbone.size for backbone in built.values()], default=256)
    mean, std = (built[names[0]].mean, built[names[0]].std) if names else IMAGENET
    architecture = None
    if names:
        first, *beside = (_view(name, built, size, frozen) for name in names)
        architecture = Architecture(
            **first.model_dump(),
            plain=not pretrained,
            hidden=64 if pretrained else 0,
            novelty_groups=(1 if index.clean else len(index.classes)) if frozen else 0,
            beside=tuple(beside),
        )
    epochs = settings.epochs or (6 if frozen else 12 if pretrained else 20)
    schedule = Schedule(
        epochs=epochs,
        steps=effort.steps,
        batch_size=settings.batch_size,
        rate=4e-3 if frozen else 1e-3,
        decay=0.1 if frozen else 0.01,
        absent=1.0 if frozen else 3.0,
    )
    spec = Input(
        size=size,
        windows=patch is not None,
        mean=mean,
        std=std,
        standardised=patch is not None and not own and not pretrained,
        masks=WINDOWS if patch else MaskSettings(),
        intensity=intensity,
    )
    composite = "relmask" if own or pretrained else "relmask_fine"
    return Plan(architecture, frozen, spec, settings.composite or composite, schedule, effort)


def _pretrained(names: Sequence[str], settings: Settings) -> bool:
    """Do the backbones of these names have weights?

    Raises:
        UsageError: no such backbone, or several of which one has none.
    """
    bare = [name for name in names if find(name).weights is None]
    if settings.weights is not None:
        bare = [name for name in bare if name != names[-1]]
    if bare and len(names) > 1:
        raise UsageError(
            f"Backbones that stand side by side need weights, and {bare[0]} comes without any. Name it last, "
            "and pass its file: --weights FILE."
        )
    return bool(names) and not bare


def _view(name: str, built: Mapping[str, Backbone], size: int, frozen: bool) -> BackboneView:
    """How one of the backbones sees an input of a size.

    Raises:
        UsageError: the backbone cannot see that size.
    """
    backbone, taps = built[name], find(name).taps
    share = Fraction(backbone.size, max(other.size for other in built.values()))
    if backbone.multiple > 1 and size * share % backbone.multiple:
        step = backbone.multiple / share
        below = max(size // step, 1) * step
        raise UsageError(
            f"{name} sees patches of {backbone.multiple} px, and an input of {size} px is not made of whole "
            f"ones: choose --size {below} or {below + step}; where DATA are patches, cut them at that size."
        )
    side = round(size * share)
    return BackboneView(
        backbone=name,
        taps=taps,
        # A mirror is smaller than the image.
        margin=min(backbone.margin, (side - 1) // 16 * 16) if frozen else 0,
        stride=max(backbone.strides[taps[0]], 8 if frozen else 1),
        size=None if side == size else side,
    )
