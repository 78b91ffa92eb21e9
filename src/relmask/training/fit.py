"""The training loop: image-level labels in, the weights with the lowest validation loss out."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from relmask.training import checkpoints
from relmask.training.sources import Prediction, Source


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Attributes:
        epochs: at most this many; an epoch is `steps` batches, whatever the number of pictures.
        steps: batches in an epoch.
        batch_size: pictures in a batch, drawn by `sampling_weights`.
        rate: peak learning rate of the one-cycle schedule.
        decay: weight decay of the weights (not of the pooling).
        absent: weight of the loss that every place pays that cannot show a class, see `negatives`.
        patience: stop after so many epochs without a lower validation loss.
    """

    epochs: int = 8
    steps: int = 50
    batch_size: int = 16
    rate: float = 4e-3
    decay: float = 0.1
    absent: float = 3.0
    patience: int = 4


@dataclass
class Epoch:
    """A line of history.csv."""

    epoch: int
    train_loss: float
    val_loss: float
    val_auroc: float
    rate: float


@dataclass
class History:
    """What happened so far, and which epoch was best."""

    epochs: list[Epoch] = field(default_factory=list)

    @property
    def best(self) -> int | None:
        """Number of the epoch with the lowest validation loss; of the last where nothing was validated."""
        if judged := [line for line in self.epochs if not math.isnan(line.val_loss)]:
            return min(judged, key=lambda line: line.val_loss).epoch
        return self.epochs[-1].epoch if self.epochs else None


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
    groups = parameter_groups(model, schedule)
    wrapped = fabric.setup_optimizers(torch.optim.AdamW(groups))
    optimizer = cast(torch.optim.Optimizer, wrapped)  # it imitates the class of what it wraps
    history = History()
    if folder and (last := checkpoints.last_epoch(folder)) is not None:
        state = checkpoints.load(folder, last)
        model.load_state_dict(state["model"], strict=False)
        optimizer.load_state_dict(state["optimizer"])
        history.epochs = [Epoch(**line) for line in state["history"]]
    source, targets = training
    chances, negative = sampling_weights(targets), negatives(targets)
    while (number := len(history.epochs)) < schedule.epochs and not _exhausted(history, schedule.patience):
        generator = torch.Generator().manual_seed(seed * 100_003 + number)
        with torch.random.fork_rng():
            torch.manual_seed(seed * 100_003 + number)
            total = 0.0
            _set_training(model)
            for step in range(schedule.steps):
                done = number * schedule.steps + step
                _set_rate(optimizer, one_cycle(done / (schedule.epochs * schedule.steps)))
                drawn = torch.multinomial(chances, schedule.batch_size, True, generator=generator)
                with fabric.autocast():
                    prediction = source.predict(drawn.tolist(), generator)
                    wanted, absent = (kind[drawn].to(fabric.device) for kind in (targets, negative))
                    loss = loss_of(prediction, wanted, absent, schedule.absent)
                optimizer.zero_grad()
                fabric.backward(loss)
                optimizer.step()
                total += loss.item()
                on_step(done + 1, f"loss {total / (step + 1):.3f}")
        if validation is None:
            val_loss, area = math.nan, math.nan
        else:
            val_loss, area = _validate(model, validation, schedule, fabric)
        rate = float(optimizer.param_groups[0]["lr"])
        history.epochs.append(Epoch(number, total / schedule.steps, val_loss, area, rate))
        if folder:
            kept = {
                "model": trained_state(model),
                "optimizer": optimizer.state_dict(),
                "history": [vars(line) for line in history.epochs],
            }
            checkpoints.save(folder, number, kept, keep={history.best or 0})
    if folder and history.best is not None:
        model.load_state_dict(checkpoints.load(folder, history.best)["model"], strict=False)
    model.eval()
    return history


def parameter_groups(model: nn.Module, schedule: Schedule) -> list[dict[str, object]]:
    """Weights with decay; the few numbers of the pooling without."""
    pooling: list[nn.Parameter] = []
    weights: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (pooling if name.startswith("pooling.") else weights).append(parameter)
    groups: list[dict[str, object]] = [
        {"params": weights, "peak": schedule.rate, "weight_decay": schedule.decay}
    ]
    if pooling:
        groups.append({"params": pooling, "peak": schedule.rate, "weight_decay": 0.0})
    return groups


def trained_state(model: nn.Module) -> dict[str, Tensor]:
    """The state that training may change: all but that of frozen modules."""
    frozen = tuple(f"{name}." for name in _frozen(model))
    return {name: value for name, value in model.state_dict().items() if not name.startswith(frozen)}


def _frozen(model: nn.Module) -> dict[str, nn.Module]:
    """Modules that have parameters, none of which is trained."""
    return {
        name: module
        for name, module in model.named_modules()
        if name
        and (parameters := list(module.parameters()))
        and not any(parameter.requires_grad for parameter in parameters)
    }


def _set_training(model: nn.Module) -> None:
    """Train mode, but for frozen modules: the statistics of their batch norms are frozen, too."""
    model.train()
    for module in _frozen(model).values():
        module.eval()


def sampling_weights(targets: Tensor) -> Tensor:
    """Chance (N,) of drawing each picture: rare combinations of labels more often, but not as often as all.

    A combination is drawn by the square root of its number of pictures. Drawing all alike repeats the few
    pictures of a rare class until they are known by heart.
    """
    _, member, counts = torch.unique(targets, dim=0, return_inverse=True, return_counts=True)
    chances: Tensor = counts[member].double().rsqrt()
    return chances


def one_cycle(progress: float, warm_up: float = 0.3) -> float:
    """Share of the peak rate at a share of the training: cosine up from 1/25, cosine down to 1e-5."""
    if progress < warm_up:
        return 1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * progress / warm_up)) / 2
    return 1e-5 + (1 - 1e-5) * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up))) / 2


def _set_rate(optimizer: torch.optim.Optimizer, share: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * share


def _exhausted(history: History, patience: int) -> bool:
    return history.best is not None and history.epochs[-1].epoch - history.best >= patience


@torch.no_grad()
def predict_logits(model: nn.Module, source: Source, count: int, batch_size: int = 16) -> Tensor:
    """Logits (count, K) of all pictures of a source, as they are, on the CPU."""
    model.eval()
    parts = [
        source.predict(list(indices), None).logits.float().cpu()
        for indices in _batches(range(count), batch_size)
    ]
    return torch.cat(parts)


def _validate(
    model: nn.Module, validation: tuple[Source, Tensor], schedule: Schedule, fabric: Fabric
) -> tuple[float, float]:
    source, targets = validation
    with fabric.autocast():
        logits = predict_logits(model, source, len(targets), schedule.batch_size)
    weights = sampling_weights(targets)
    losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(1)
    loss = float((losses * weights).sum() / weights.sum())
    return loss, auroc(logits.amax(1), targets.amax(1))


def auroc(scores: Tensor, positive: Tensor) -> float:
    """Chance that a positive scores above a negative (ties count half); 0.5 where one kind is absent."""
    high, low = scores[positive > 0], scores[positive == 0]
    if not len(high) or not len(low):
        return 0.5
    difference = high[:, None] - low[None, :]
    return float((difference > 0).double().mean() + 0.5 * (difference == 0).double().mean())


def _batches(indices: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(indices), size):
        yield indices[start : start + size]
