import csv
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from relmask.errors import RunError
from relmask.models.pooling import GuidedPooling
from relmask.training import checkpoints
from relmask.training.arithmetic import Arithmetic
from relmask.training.classifier import Labels
from relmask.training.loop import (
    Epoch,
    History,
    Schedule,
    one_cycle,
    optimise,
    parameter_groups,
    trained_state,
)
from relmask.training.report import write_history
from relmask.training.sources import Prediction

CPU = Arithmetic(torch.device("cpu"))
SCHEDULE = Schedule(epochs=4, steps=5, batch_size=4, rate=0.05, decay=0.1)


class Network(nn.Module):
    """All kinds of state that a checkpoint must hold: batch norm, dropout, pooling, a frozen part."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6)).requires_grad_(False)
        self.head = nn.Sequential(nn.BatchNorm1d(6), nn.Dropout(0.3), nn.Linear(6, 2))
        self.pooling = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.pooling(self.head(self.features(x)))
        return found


class Points:
    """A source of points instead of pictures, moved a little by the generator."""

    def __init__(self, model: nn.Module, points: Tensor) -> None:
        self.model = model
        self.points = points

    def predict(self, indices: Sequence[int], generator: torch.Generator | None) -> Prediction:
        points = self.points[list(indices)]
        if generator is not None:
            points = points + 0.01 * torch.randn(points.shape, generator=generator)
        return Prediction(self.model(points), None)

    def logits(self, indices: Sequence[int]) -> Tensor:
        return self.predict(indices, None).logits


def data(seed: int, count: int = 24) -> tuple[Tensor, Tensor]:
    points = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed))
    return points, (points[:, :2] > 0).float()


def trained(
    folder: Path | None,
    schedule: Schedule = SCHEDULE,
    *,
    seed: int = 0,
    kill_at: int = -1,
    validated: bool = True,
    clean: bool = True,
) -> tuple[dict[str, Tensor], History]:
    torch.manual_seed(7)
    model = Network()
    parts = []
    for number in range(2):
        points, targets = data(number)
        if number and not clean:
            targets[:] = 1
        parts.append((Points(model, points), targets))

    def on_step(step: int, note: str) -> None:
        if step == kill_at:
            raise KeyboardInterrupt

    history = optimise(
        model,
        Labels(model, parts[0], parts[1] if validated else None, schedule, CPU.device),
        schedule,
        CPU,
        folder,
        seed=seed,
        on_step=on_step,
    )
    return model.state_dict(), history


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize("kill_at", [1, 5, 6, 13, 20])
def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(tmp_path: Path, kill_at: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "killed", kill_at=kill_at)
    state, history = trained(tmp_path / "killed")
    expected, whole = trained(tmp_path / "whole")
    assert same(state, expected)
    assert history == whole
    assert len(history.epochs) == 4


def test_a_finished_training_that_is_resumed_stays_as_it_is(tmp_path: Path) -> None:
    expected, history = trained(tmp_path)
    again, same_history = trained(tmp_path)
    assert same(again, expected)
    assert same_history == history


def test_a_seed_repeats_and_another_does_not(tmp_path: Path) -> None:
    one, _ = trained(tmp_path / "1", seed=1)
    again, _ = trained(tmp_path / "2", seed=1)
    other, _ = trained(tmp_path / "3", seed=2)
    assert same(one, again)
    assert not same(one, other)


def test_training_leaves_the_random_numbers_of_its_caller_alone(tmp_path: Path) -> None:
    points, targets = data(0)
    model = Network()
    torch.manual_seed(3)
    objective = Labels(model, (Points(model, points), targets), None, SCHEDULE, CPU.device)
    optimise(model, objective, SCHEDULE, CPU, None)
    after = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(1), after)


def test_it_learns_and_keeps_the_weights_of_the_best_epoch(tmp_path: Path) -> None:
    state, history = trained(tmp_path)
    best = min(history.epochs, key=lambda line: line.val_loss)
    assert history.best == best.epoch
    assert best.val_loss < history.epochs[0].train_loss
    kept = checkpoints.load(tmp_path, best.epoch)["model"]
    assert all(torch.equal(value, state[name]) for name, value in kept.items())
    assert {path.stem for path in tmp_path.iterdir()} == {f"epoch-{best.epoch:04d}", "epoch-0003"}


@pytest.mark.parametrize("folder", [True, False])
def test_without_validation_all_epochs_run_and_the_last_is_kept(tmp_path: Path, folder: bool) -> None:
    state, history = trained(tmp_path if folder else None, validated=False)
    assert (len(history.epochs), history.best) == (4, 3)
    if folder:
        kept = checkpoints.load(tmp_path, 3)["model"]
        assert all(torch.equal(value, state[name]) for name, value in kept.items())


def test_validation_without_clean_images_has_a_loss_and_no_auroc_in_the_history(tmp_path: Path) -> None:
    _, history = trained(tmp_path / "defective", clean=False)
    assert [line.val_auroc for line in history.epochs] == [None] * 4
    assert all(math.isfinite(line.val_loss) for line in history.epochs)
    _, again = trained(tmp_path / "defective", clean=False)  # as its checkpoint has it
    assert again == history
    write_history(history, tmp_path / "history.csv")
    with (tmp_path / "history.csv").open(newline="", encoding="utf-8") as file:
        lines = [*csv.DictReader(file)]
    assert [line["val_auroc"] for line in lines] == [""] * 4
    assert float(lines[0]["val_loss"]) == pytest.approx(history.epochs[0].val_loss)


def test_what_is_frozen_stays_and_is_not_in_the_checkpoints(tmp_path: Path) -> None:
    torch.manual_seed(7)
    before = Network()
    state, _ = trained(tmp_path)
    frozen = {name: value for name, value in before.state_dict().items() if name.startswith("features.")}
    assert len(frozen) == 7  # with the statistics of the batch norm
    assert same({name: state[name] for name in frozen}, frozen)
    kept = checkpoints.load(tmp_path, 3)["model"]
    assert set(kept) == {name for name in state if not name.startswith("features.")}
    assert set(trained_state(before)) == set(kept)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    trained(tmp_path)
    (tmp_path / "epoch-0003.pt").write_bytes(b"PK")
    with pytest.raises(RunError, match=r"epoch-0003\.pt cannot be read: .*--overwrite"):
        trained(tmp_path)


@pytest.mark.parametrize("change", ["name", "shape"])
def test_checkpoints_of_another_network_are_refused(tmp_path: Path, change: str) -> None:
    trained(tmp_path)
    state = checkpoints.load(tmp_path, 3)
    weights = state["model"].pop("head.2.weight")
    state["model"] |= {"head.9.weight": weights} if change == "name" else {"head.2.weight": weights[:1]}
    checkpoints.save(tmp_path, 3, state, keep={0, 1, 2})
    with pytest.raises(RunError, match=r"of another network.*--overwrite"):
        trained(tmp_path)


def test_guided_pooling_is_trained_without_decay_and_nothing_that_only_has_its_name() -> None:
    model = nn.ModuleDict({"pooling": nn.Linear(2, 2), "deep": nn.ModuleDict({"inner": GuidedPooling(2)})})
    weights, spared = parameter_groups(model, SCHEDULE)
    assert (weights["weight_decay"], spared["weight_decay"]) == (SCHEDULE.decay, 0)
    assert weights["params"] == list(model["pooling"].parameters())
    assert spared["params"] == list(model["deep"].parameters())
    assert len(parameter_groups(nn.Linear(2, 2), SCHEDULE)) == 1


def test_the_rate_rises_to_its_peak_and_falls_to_nothing() -> None:
    rates = [one_cycle(step / 100) for step in range(101)]
    assert rates[0] == pytest.approx(1 / 25)
    assert max(rates) == rates[30] == pytest.approx(1)
    assert rates[:31] == sorted(rates[:31])
    assert rates[30:] == sorted(rates[30:], reverse=True)
    assert rates[-1] == pytest.approx(1e-5)


def test_a_diverged_epoch_is_never_the_best() -> None:
    def line(number: int, loss: float) -> Epoch:
        return Epoch(number, 1, loss, 0.5, 0.1)

    assert History([line(0, math.nan), line(1, 2.0), line(2, 3.0)]).best == 1
    assert History([line(0, math.nan), line(1, math.nan)]).best == 1
    assert History().best is None
