"""Training a segmenter from maps of classes: true ones, corrected ones, or relmask's own."""

import math
from collections.abc import Iterator
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from relmask.models.unet import image_logits
from relmask.progress import Progress
from relmask.segmenter import Reader
from relmask.training.fit import auroc, sampling_weights
from relmask.training.loop import History, Schedule, optimise
from relmask.training.mapped import VOID, Mapped


def fit_segmenter(
    reader: Reader,
    training: Mapped,
    validation: Mapped | None,
    schedule: Schedule,
    fabric: Fabric,
    folder: Path | None,
    *,
    seed: int = 0,
    progress: Progress,
) -> History:
    """Train the segmenter of a reader on pictures whose pixels are known, as far as they are.

    Args:
        reader: its model takes normalised images (N, 3, S, S) to logits (N, K, S, S).
        training: pictures and maps.
        validation: likewise; decides which epoch is kept. None: the last.
        schedule: how long and how fast.
        fabric: device and precision.
        folder: where checkpoints go, and training goes on from; None for none.
        seed: of batches, crops and augmentation.
        progress: called after every step.
    """
    model = reader.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    objective = _Maps(reader, training, validation, schedule.batch_size)
    history = optimise(
        model,
        objective,
        schedule,
        fabric,
        folder,
        seed=seed,
        on_step=lambda step, note: progress("training", step, schedule.epochs * schedule.steps, note),
    )
    model.to(memory_format=torch.contiguous_format)
    return history


class _Maps:
    """Maps of classes, see `Objective`."""

    def __init__(self, reader: Reader, training: Mapped, validation: Mapped | None, batch_size: int) -> None:
        self.chances = sampling_weights(training.targets)
        self._reader = reader
        self._training = training
        self._validation = validation
        self._batch_size = batch_size

    def loss(self, indices: list[int], generator: torch.Generator) -> Tensor:
        """Cross-entropy and Dice of a batch."""
        images, maps = self._training.batch(indices, generator)
        logits = self._predict(images)
        wanted, known = as_targets(maps.to(logits.device), logits.shape[1])
        return cross_entropy(logits, wanted, known) + dice_loss(*overlaps(logits, wanted, known))

    @torch.no_grad()
    def validate(self) -> tuple[float, float]:
        """The same loss over all of validation, Dice pooled over it; AUROC of the highest image logit."""
        if self._validation is None or not len(self._validation):
            return math.nan, math.nan
        self._reader.model.eval()
        entropy, pooled, peaks = 0.0, torch.zeros(3, self._validation.targets.shape[1]), []
        for images, maps in _batches(self._validation, self._batch_size):
            logits = self._predict(images)
            wanted, known = as_targets(maps.to(logits.device), logits.shape[1])
            entropy += float(cross_entropy(logits, wanted, known)) * len(images)
            pooled += torch.stack(overlaps(logits, wanted, known)).cpu()
            peaks.append(image_logits(logits).amax(1).cpu())
        loss = entropy / len(self._validation) + float(dice_loss(*pooled))
        return loss, auroc(torch.cat(peaks), self._validation.targets.amax(1))

    def _predict(self, images: Tensor) -> Tensor:
        inputs = self._reader.normalise(images.to(self._reader.device))
        logits: Tensor = self._reader.model(inputs.contiguous(memory_format=torch.channels_last))
        return logits.float()


def as_targets(maps: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Which class each pixel shows (N, K, H, W), 0 or 1, and whether that is known (N, 1, H, W)."""
    values = torch.arange(1, classes + 1, device=maps.device).view(1, -1, 1, 1)
    return (maps[:, None] == values).float(), (maps[:, None] != VOID).float()


def cross_entropy(logits: Tensor, wanted: Tensor, known: Tensor) -> Tensor:
    """Mean binary cross-entropy of all known pixels and classes."""
    losses = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * known
    return losses.sum() / (known.sum() * logits.shape[1]).clamp(min=1)


def overlaps(logits: Tensor, wanted: Tensor, known: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of each class (K,), over the known pixels of a batch: what is met, what is said, what there is."""
    said = logits.sigmoid() * known
    wanted = wanted * known
    met, said, there = ((part).sum((0, 2, 3)) for part in (said * wanted, said, wanted))
    return met, said, there


def dice_loss(met: Tensor, said: Tensor, there: Tensor) -> Tensor:
    """1 - Dice, the mean over the classes that are there (Milletari et al. 2016).

    Each class counts alike however few pixels it has, and what is said of it in pictures without it counts.
    """
    present = there > 0
    losses = 1 - (2 * met + 1) / (said + there + 1)
    return (losses * present).sum() / present.sum().clamp(min=1)


def _batches(mapped: Mapped, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Pictures as they are; larger ones in their own batch, cut to a multiple of 32 pixels."""
    for start in range(0, len(mapped), size):
        chosen = range(start, min(start + size, len(mapped)))
        shapes = {mapped.maps[index].shape for index in chosen}
        for shape in sorted(shapes):
            same = [index for index in chosen if mapped.maps[index].shape == shape]
            images = torch.stack([mapped.images[index] for index in same]).float() / 255
            yield images, torch.stack([mapped.maps[index] for index in same])
