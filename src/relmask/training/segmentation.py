"""Training a segmenter from maps of classes: true ones, corrected ones, or relmask's own."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from relmask.data.reading import Intensity
from relmask.inference.segmentation import SegmentationModel
from relmask.models.bundle import Input
from relmask.models.unet import image_logits, unet
from relmask.models.zoo import find
from relmask.progress import Progress
from relmask.ranking import auroc
from relmask.sequences import batches
from relmask.training.arithmetic import Arithmetic
from relmask.training.classifier import sampling_weights
from relmask.training.loop import History, Schedule, optimise
from relmask.training.pixel_dataset import VOID, PixelDataset

HEAVIEST = 30.0
"""Most that a pixel of a rare class weighs in the cross-entropy."""


def input_of(backbone: str, size: int, windows: bool, intensity: Intensity) -> Input:
    """How pictures become the input of a U-Net over a backbone.

    Raises:
        UsageError: no such backbone.
    """
    entry = find(backbone)
    with torch.device("meta"):
        built = entry.build(deepest=0)
    return Input(
        size=size,
        windows=windows,
        mean=built.mean,
        std=built.std,
        standardised=windows and entry.weights is None,
        intensity=intensity,
    )


def new_segmentation_model(
    backbone: str,
    classes: int,
    spec: Input,
    device: torch.device,
    seed: int,
    weights: Path | None = None,
    *,
    frozen: bool = False,
) -> SegmentationModel:
    """A U-Net to be trained.

    Args:
        backbone: of the encoder.
        classes: number of maps.
        spec: how pictures become its input.
        device: where it runs.
        seed: of the fresh weights.
        weights: of the encoder; None for the backbone's own, if it has some.
        frozen: is the encoder left as it is, if it has weights?

    Raises:
        UsageError: no such backbone.
        RunError: the file of weights does not fit.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = unet(backbone, classes, weights)
    if frozen and (weights is not None or find(backbone).weights is not None):
        network.encoder.requires_grad_(False)
    return SegmentationModel(network, spec, device)


def fit_segmenter(
    model: SegmentationModel,
    training: PixelDataset,
    validation: PixelDataset,
    arithmetic: Arithmetic,
    folder: Path | None,
    *,
    epochs: int,
    steps: int,
    batch_size: int,
    seed: int,
    progress: Progress,
) -> History:
    """Train the segmenter of a model on pictures whose pixels are known, as far as they are.

    Args:
        model: its model takes normalised images (N, 3, S, S) to logits (N, K, S, S).
        training: pictures and maps.
        validation: likewise; decides which epoch is kept; if it is empty, the last is.
        arithmetic: device and precision.
        folder: where checkpoints go, and training goes on from; None for none.
        epochs: passes, of `steps` batches each.
        steps: batches in an epoch.
        batch_size: pictures in a batch.
        seed: of batches, crops and augmentation.
        progress: called after every step.
    """
    network = model.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    frozen = not any(parameter.requires_grad for parameter in network.get_submodule("encoder").parameters())
    schedule = Schedule(
        epochs=epochs,
        steps=steps,
        batch_size=batch_size,
        rate=4e-3 if frozen else 1e-3,
        decay=0.01,
    )
    objective = _Maps(model, training, validation, schedule.batch_size)
    history = optimise(
        network,
        objective,
        schedule,
        arithmetic,
        folder,
        seed=seed,
        on_step=lambda step, note: progress("training", step, schedule.epochs * schedule.steps, note),
    )
    network.to(memory_format=torch.contiguous_format)
    return history


class _Maps:
    """Objective of a segmenter: maps of classes."""

    def __init__(
        self, model: SegmentationModel, training: PixelDataset, validation: PixelDataset, batch_size: int
    ) -> None:
        self.chances = sampling_weights(training.targets)
        self._model = model
        self._training = training
        self._validation = validation
        self._batch_size = batch_size

    def loss(self, indices: list[int], generator: torch.Generator) -> Tensor:
        """Cross-entropy and Dice of a batch."""
        images, maps = self._training.batch(indices, generator)
        logits = self._predict(images)
        wanted, known = as_targets(maps.to(logits.device), self._training.targets[indices].to(logits.device))
        return cross_entropy(logits, wanted, known) + dice_loss(*overlaps(logits, wanted, known))

    @torch.no_grad()
    def validate(self) -> tuple[float, float | None]:
        """The same loss over all of validation, Dice pooled over it; AUROC of the highest image logit."""
        if not len(self._validation):
            return math.nan, None
        self._model.network.eval()
        entropy, pooled, peaks = 0.0, torch.zeros(3, self._validation.targets.shape[1]), list[Tensor]()
        order: list[int] = []
        for indices, images, maps in _batches(self._validation, self._batch_size):
            logits = self._predict(images)
            labels = self._validation.targets[indices].to(logits.device)
            wanted, known = as_targets(maps.to(logits.device), labels)
            entropy += float(cross_entropy(logits, wanted, known)) * len(images)
            pooled += torch.stack(overlaps(logits, wanted, known)).cpu()
            peaks.append(image_logits(logits).amax(1).cpu())
            order += indices
        loss = entropy / len(self._validation) + float(dice_loss(*pooled))
        return loss, auroc(torch.cat(peaks), self._validation.targets[order].amax(1) > 0)

    def _predict(self, images: Tensor) -> Tensor:
        inputs = self._model.normalise(images.to(self._model.device))
        logits: Tensor = self._model.network(inputs.contiguous(memory_format=torch.channels_last))
        return logits.float()


def as_targets(maps: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Which class each pixel shows, and whether that is known: both (N, K, H, W), 0 or 1.

    A class that the labels do not name is nowhere in the picture, so it is known even where the map is void.

    Args:
        maps: (N, H, W), see `PixelDataset`.
        labels: (N, K), 1 where the labels name the class.
    """
    values = torch.arange(1, labels.shape[1] + 1, device=maps.device).view(1, -1, 1, 1)
    absent = labels[:, :, None, None] == 0
    wanted = (maps[:, None] == values) & ~absent
    return wanted.float(), ((maps[:, None] != VOID) | absent).float()


def cross_entropy(logits: Tensor, wanted: Tensor, known: Tensor) -> Tensor:
    """Mean binary cross-entropy of all that is known; pixels of a rare class weigh more.

    By the root of how much rarer they are than those of the commonest class, up to `HEAVIEST`: without it, a
    class of a few hundred pixels is first unlearned everywhere, and then has no gradient left to be learned
    by. Weighing them against the background widens every mask.
    """
    there = (wanted * known).sum((0, 2, 3))
    rarity = (there.max() / there.clamp(min=1)).clamp(1, HEAVIEST**2).sqrt()
    losses = functional.binary_cross_entropy_with_logits(
        logits, wanted, known, reduction="sum", pos_weight=rarity[:, None, None]
    )
    return losses / known.sum().clamp(min=1)


def overlaps(logits: Tensor, wanted: Tensor, known: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sums (K,) over the known pixels of a batch: of what is met, of what is said, of what there is."""
    said = logits.sigmoid() * known
    met, total, there = (part.sum((0, 2, 3)) for part in (said * wanted, said, wanted * known))
    return met, total, there


def dice_loss(met: Tensor, said: Tensor, there: Tensor) -> Tensor:
    """1 - Dice, the mean over the classes that are there (Milletari et al. 2016).

    Each class counts alike however few pixels it has, and what is said of it in pictures without it counts.
    """
    present = there > 0
    losses = 1 - (2 * met + 1) / (said + there + 1)
    return (losses * present).sum() / present.sum().clamp(min=1)


def _batches(dataset: PixelDataset, size: int) -> Iterator[tuple[Sequence[int], Tensor, Tensor]]:
    """Indices, images in [0, 1] and maps of pictures of one size each, as they are."""
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for index in range(len(dataset)):
        by_shape.setdefault(tuple(dataset.maps[index].shape), []).append(index)
    for same in by_shape.values():
        for chosen in batches(same, size):
            images = torch.stack([dataset.images[index] for index in chosen]).float() / 255
            yield [*chosen], images, torch.stack([dataset.maps[index] for index in chosen])
