"""Training from image-level labels: what a batch costs, and which pictures are drawn."""

import math
from collections.abc import Callable
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from relmask.ranking import auroc
from relmask.sequences import batches
from relmask.training.loop import History, Schedule, optimise
from relmask.training.sources import Prediction, Source


def loss_of(prediction: Prediction, targets: Tensor, negative: Tensor, absent: float) -> Tensor:
    """Binary cross-entropy on the logits (N, K), and on every place of the `negative` (N, K) maps."""
    loss = functional.binary_cross_entropy_with_logits(prediction.logits, targets)
    if prediction.places is not None and absent:
        below = functional.softplus(prediction.places) * negative[:, :, None, None]
        loss = loss + absent * below.mean()
    return loss


def negatives(targets: Tensor) -> Tensor:
    """Pictures and classes (N, K) whose every place is known not to show the class: 1 there, else 0.

    They are all classes of clean pictures. A picture of another class is left out: its defect may look like
    this one to a head that knows a few of each, and what marks it as a defect would be unlearned. Only where
    no picture is clean do the pictures without a class speak for its absence.
    """
    clean = targets.amax(1, keepdim=True) == 0
    return clean.expand_as(targets).to(targets) if clean.any() else 1 - targets


def fit(
    model: nn.Module,
    training: tuple[Source, Tensor],
    validation: tuple[Source, Tensor] | None,
    schedule: Schedule,
    fabric: Fabric,
    folder: Path | None,
    *,
    seed: int = 0,
    on_step: Callable[[int, str], None] = lambda step, note: None,
) -> History:
    """Train the parameters of `model` that require a gradient, and leave it with its best weights.

    Training goes on after the last checkpoint in `folder`; the result equals that of an uninterrupted
    training, since every epoch draws from its own seed.

    Args:
        model: on the device of `fabric`.
        training: where predictions come from, and targets (N, K), 0 or 1.
        validation: likewise; only decides when to stop and which epoch to keep. None: the last is kept.
        schedule: how long and how fast.
        fabric: device and precision.
        folder: where checkpoints go; None for none, and then the last weights stay.
        seed: of batches, augmentation and dropout.
        on_step: called with the number of steps done and a note on the loss.
    """
    objective = _Labels(model, training, validation, schedule, fabric.device)
    return optimise(model, objective, schedule, fabric, folder, seed=seed, on_step=on_step)


class _Labels:
    """Image-level labels, see `Objective`."""

    def __init__(
        self,
        model: nn.Module,
        training: tuple[Source, Tensor],
        validation: tuple[Source, Tensor] | None,
        schedule: Schedule,
        device: torch.device,
    ) -> None:
        self.source, self.targets = training
        self.chances = sampling_weights(self.targets)
        self._negative = negatives(self.targets)
        self._model = model
        self._validation = validation
        self._schedule = schedule
        self._device = device

    def loss(self, indices: list[int], generator: torch.Generator) -> Tensor:
        """See `loss_of`."""
        prediction = self.source.predict(indices, generator)
        wanted, absent = (kind[indices].to(self._device) for kind in (self.targets, self._negative))
        return loss_of(prediction, wanted, absent, self._schedule.absent)

    @torch.no_grad()
    def validate(self) -> tuple[float, float]:
        """Cross-entropy as training weighs the pictures, and AUROC of the highest logit."""
        if self._validation is None:
            return math.nan, math.nan
        source, targets = self._validation
        logits = predict_logits(self._model, source, len(targets), self._schedule.batch_size)
        weights = sampling_weights(targets)
        losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(1)
        loss = float((losses * weights).sum() / weights.sum())
        area = auroc(logits.amax(1), targets.amax(1) > 0)
        return loss, 0.5 if area is None else area


def sampling_weights(targets: Tensor) -> Tensor:
    """Chance (N,) of drawing each picture: rare combinations of labels more often, but not as often as all.

    A combination is drawn by the square root of its number of pictures. Drawing all alike repeats the few
    pictures of a rare class until they are known by heart.
    """
    _, member, counts = torch.unique(targets, dim=0, return_inverse=True, return_counts=True)
    chances: Tensor = counts[member].double().rsqrt()
    return chances


@torch.no_grad()
def predict_logits(model: nn.Module, source: Source, count: int, batch_size: int = 16) -> Tensor:
    """Logits (count, K) of all pictures of a source, as they are, on the CPU."""
    model.eval()
    parts = [
        source.predict(list(indices), None).logits.float().cpu()
        for indices in batches(range(count), batch_size)
    ]
    return torch.cat(parts)
