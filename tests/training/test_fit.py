import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from relmask.errors import RunError
from relmask.training import checkpoints
from relmask.training.fit import fit, loss_of, negatives, predict_logits, sampling_weights
from relmask.training.loop import (
    Epoch,
    History,
    Schedule,
    one_cycle,
    parameter_groups,
    trained_state,
)
from relmask.training.sources import Prediction

SCHEDULE = Schedule(epochs=4, steps=5, batch_size=4, rate=0.05, patience=9)


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
) -> tuple[dict[str, Tensor], History]:
    torch.manual_seed(7)
    model = Network()
    parts = []
    for number in range(2):
        points, targets = data(number)
        parts.append((Points(model, points), targets))

    def on_step(step: int, note: str) -> None:
        if step == kill_at:
            raise KeyboardInterrupt

    history = fit(
        model,
        parts[0],
        parts[1] if validated else None,
        schedule,
        Fabric(accelerator="cpu", devices=1),
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
    fit(model, (Points(model, points), targets), None, SCHEDULE, Fabric(accelerator="cpu"), None)
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


def test_it_stops_where_validation_gets_no_better(tmp_path: Path) -> None:
    hopeless = Schedule(epochs=9, steps=1, batch_size=4, rate=0.0, patience=2)
    model = nn.Linear(3, 2)
    part = Points(model, data(0)[0]), data(0)[1]
    history = fit(model, part, part, hopeless, Fabric(accelerator="cpu", devices=1), tmp_path)
    assert (len(history.epochs), history.best) == (3, 0)


@pytest.mark.parametrize("folder", [True, False])
def test_without_validation_all_epochs_run_and_the_last_is_kept(tmp_path: Path, folder: bool) -> None:
    impatient = Schedule(epochs=4, steps=5, batch_size=4, rate=0.05, patience=1)
    state, history = trained(tmp_path if folder else None, impatient, validated=False)
    assert (len(history.epochs), history.best) == (4, 3)
    expected, _ = trained(None, SCHEDULE, validated=False)
    assert same(state, expected)


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


def test_the_pooling_is_trained_without_decay() -> None:
    model = Network()
    weights, pooling = parameter_groups(model, SCHEDULE)
    assert (weights["weight_decay"], pooling["weight_decay"]) == (SCHEDULE.decay, 0)
    assert pooling["params"] == list(model.pooling.parameters())
    assert weights["params"] == list(model.head.parameters())
    assert len(parameter_groups(nn.Linear(2, 2), SCHEDULE)) == 1


def test_the_rate_rises_to_its_peak_and_falls_to_nothing() -> None:
    rates = [one_cycle(step / 100) for step in range(101)]
    assert rates[0] == pytest.approx(1 / 25)
    assert max(rates) == rates[30] == pytest.approx(1)
    assert rates[:31] == sorted(rates[:31])
    assert rates[30:] == sorted(rates[30:], reverse=True)
    assert rates[-1] == pytest.approx(1e-5)


def test_rare_combinations_of_labels_are_drawn_more_often_but_not_as_often_as_all() -> None:
    targets = torch.tensor([[1.0, 0]] * 4 + [[0.0, 0]] * 16 + [[1.0, 1]])
    chances = sampling_weights(targets)
    sums = [float(chances[rows].sum()) for rows in (slice(0, 4), slice(4, 20), slice(20, 21))]
    assert sums == pytest.approx([2, 4, 1])


def test_every_place_that_cannot_show_a_class_pays() -> None:
    logits, places = torch.randn(2, 3), torch.randn(2, 3, 4, 5)
    targets = torch.tensor([[1.0, 0, 0], [0, 1, 1]])
    negative = torch.tensor([[0.0, 1, 0], [1, 0, 0]])
    expected = functional.binary_cross_entropy_with_logits(logits, targets)
    torch.testing.assert_close(loss_of(Prediction(logits, None), targets, negative, 3), expected)
    torch.testing.assert_close(loss_of(Prediction(logits, places), targets, negative, 0), expected)
    each = functional.binary_cross_entropy_with_logits(places, torch.zeros_like(places), reduction="none")
    absent = float(each[0, 1].sum() + each[1, 0].sum())
    found = loss_of(Prediction(logits, places), targets, negative, 3)
    assert float(found) == pytest.approx(float(expected) + 3 * absent / places.numel(), rel=1e-5)


def test_clean_pictures_are_negatives_of_all_classes_and_defects_of_none() -> None:
    targets = torch.tensor([[1.0, 0], [0, 0], [0, 1]])
    assert negatives(targets).tolist() == [[0, 0], [1, 1], [0, 0]]


def test_where_no_picture_is_clean_those_without_a_class_are_its_negatives() -> None:
    targets = torch.tensor([[1.0, 0], [0, 1], [1, 1]])
    assert negatives(targets).tolist() == [[0, 1], [1, 0], [0, 0]]


def test_logits_are_predicted_in_order_and_without_augmentation() -> None:
    points, _ = data(0, 7)
    model = Network()
    with torch.no_grad():
        expected = model.eval()(points)
    torch.testing.assert_close(predict_logits(model.train(), Points(model, points), 7, 3), expected)


def test_a_diverged_epoch_is_never_the_best() -> None:
    def line(number: int, loss: float) -> Epoch:
        return Epoch(number, 1, loss, 0.5, 0.1)

    assert History([line(0, math.nan), line(1, 2.0), line(2, 3.0)]).best == 1
    assert History([line(0, math.nan), line(1, math.nan)]).best == 1
    assert History().best is None
