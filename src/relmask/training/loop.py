"""The training loop, whatever is learned: the weights with the lowest validation loss come out."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from relmask.errors import RunError
from relmask.models.pooling import GuidedPooling
from relmask.training import checkpoints
from relmask.training.arithmetic import Arithmetic


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Attributes:
        epochs: this many, of `steps` batches each.
        steps: batches in an epoch.
        batch_size: pictures in a batch, drawn by `sampling_weights`.
        rate: peak learning rate of the one-cycle schedule.
        decay: weight decay of the weights (not of the pooling).
        absent: weight of the loss of locations that cannot show a class, see `negatives`.
    """

    epochs: int
    steps: int
    batch_size: int
    rate: float
    decay: float
    absent: float = 0.0


@dataclass
class Epoch:
    """A line of history.csv.

    Attributes:
        epoch: its number, from 0.
        train_loss: mean over its batches.
        val_loss: NaN where nothing was validated.
        val_auroc: of validation images; None where they do not have defective and clean ones.
        rate: the last learning rate.
    """

    epoch: int
    train_loss: float
    val_loss: float
    val_auroc: float | None
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


class Objective(Protocol):
    """What is to be learned from which pictures."""

    @property
    def chances(self) -> Tensor:
        """(N,), how likely each picture is drawn, up to a factor."""

    def loss(self, indices: list[int], generator: torch.Generator) -> Tensor:
        """Loss of a batch of these pictures, augmented by draws of the generator."""

    def validate(self) -> tuple[float, float | None]:
        """Loss and image AUROC on validation; NaN and None where they are not known.

        The model may be left in eval mode.
        """


def optimise(
    model: nn.Module,
    objective: Objective,
    schedule: Schedule,
    arithmetic: Arithmetic,
    folder: Path | None,
    *,
    seed: int = 0,
    on_step: Callable[[int, str], None] = lambda step, note: None,
) -> History:
    """Train the parameters of `model` that require a gradient, and leave it with its best weights.

    Training goes on after the last checkpoint in `folder`; the result equals that of an uninterrupted
    training, since every epoch draws from its own seed.

    Args:
        model: on the device of `arithmetic`.
        objective: what to lower; its validation only decides which epoch is kept.
        schedule: how long and how fast.
        arithmetic: device and precision.
        folder: where checkpoints go; None for none, and then the last weights stay.
        seed: seed of batches, augmentation and dropout.
        on_step: called with the number of steps done and a note on the loss.

    Raises:
        RunError: a checkpoint in `folder` is damaged, or of another network.
    """
    groups = parameter_groups(model, schedule)
    optimizer = torch.optim.AdamW(groups)
    history = History()
    if folder and (last := checkpoints.last_epoch(folder)) is not None:
        state = checkpoints.load(folder, last)
        _restore(model, state["model"], folder)
        optimizer.load_state_dict(state["optimizer"])
        history.epochs = [Epoch(**line) for line in state["history"]]
    while (number := len(history.epochs)) < schedule.epochs:
        generator = torch.Generator().manual_seed(seed * 100_003 + number)
        with torch.random.fork_rng():
            torch.manual_seed(seed * 100_003 + number)
            total = 0.0
            _set_training(model)
            for step in range(schedule.steps):
                done = number * schedule.steps + step
                rate = schedule.rate * one_cycle(done / (schedule.epochs * schedule.steps))
                for group in optimizer.param_groups:
                    group["lr"] = rate
                drawn = torch.multinomial(
                    objective.chances, schedule.batch_size, replacement=True, generator=generator
                )
                with arithmetic.autocast():
                    loss = objective.loss(drawn.tolist(), generator)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.item()
                on_step(done + 1, f"loss {total / (step + 1):.3f}")
        with arithmetic.autocast():
            val_loss, area = objective.validate()
        history.epochs.append(Epoch(number, total / schedule.steps, val_loss, area, rate))
        if folder:
            kept = {
                "model": trained_state(model),
                "optimizer": optimizer.state_dict(),
                "history": [vars(line) for line in history.epochs],
            }
            checkpoints.save(folder, number, kept, keep={history.best or 0})
    if folder and history.best is not None:
        _restore(model, checkpoints.load(folder, history.best)["model"], folder)
    model.eval()
    return history


def parameter_groups(model: nn.Module, schedule: Schedule) -> list[dict[str, object]]:
    """Weights with decay; the few numbers of relmask's guided pooling without."""
    poolings = [module for module in model.modules() if isinstance(module, GuidedPooling)]
    spared = {id(parameter) for pooling in poolings for parameter in pooling.parameters()}
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups: list[dict[str, object]] = [
        {"params": [p for p in learned if id(p) not in spared], "weight_decay": schedule.decay},
        {"params": [p for p in learned if id(p) in spared], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def trained_state(model: nn.Module) -> dict[str, Tensor]:
    """The state that training may change: all but that of frozen modules."""
    frozen = tuple(f"{name}." for name in _frozen(model))
    return {name: value for name, value in model.state_dict().items() if not name.startswith(frozen)}


def _restore(model: nn.Module, kept: dict[str, Tensor], folder: Path) -> None:
    """Load what `trained_state` gave.

    Raises:
        RunError: it is of another network.
    """
    found, expected = (
        {name: value.shape for name, value in state.items()} for state in (kept, trained_state(model))
    )
    if found != expected:
        raise RunError(
            f"The checkpoints in {folder} are of another network: was the training begun by another relmask? "
            "Train again with --overwrite."
        )
    model.load_state_dict(kept, strict=False)


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


def one_cycle(progress: float, warm_up: float = 0.3) -> float:
    """Share of the peak rate at a share of the training: cosine up from 1/25, cosine down to 1e-5."""
    if progress < warm_up:
        return 1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * progress / warm_up)) / 2
    return 1e-5 + (1 - 1e-5) * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up))) / 2
