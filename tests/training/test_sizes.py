import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor

import relmask.training.train
from relmask.data.index import Sample
from relmask.data.labelled import Labelled
from relmask.inference.explained import ExplainedClassifier
from relmask.training.classifier import FrozenFitter
from relmask.training.effort import Effort
from relmask.training.plan import Plan, Settings, plan, plans
from relmask.training.sizes import fitter_of_best_size, unseen_loss
from tests.effort import LITTLE
from tests.training.conftest import Trainer, weights_of
from tests.training.test_plan import INTENSITY, index

TARGETS = torch.tensor([[0.0], [0], [0], [1], [1], [0], [1], [0]])
BLIND = torch.zeros(8, 1)
NOBODY = Labelled((), torch.zeros(0, 1))


def labelled(count: int = 8) -> Labelled:
    samples = tuple(
        Sample(
            Path(f"{n}.png"), f"{n}.png", frozenset({"pit"} if TARGETS[n % 8] else set()), f"group {n // 2}"
        )
        for n in range(count)
    )
    return Labelled(samples, TARGETS.repeat(-(-count // 8), 1)[:count])


class Judge(FrozenFitter):
    """Knows what its heads would say."""

    def __init__(self, plan: Plan, training: Labelled, validation: Labelled, said: Tensor | None) -> None:
        self.plan, self.training, self.validation, self.said = plan, training, validation, said

    def fit_statistics(self) -> None:
        """There are none."""

    def cross_fitted(self) -> Tensor | None:
        return self.said


class Bench:
    """Fits what is asked for, and remembers it."""

    def __init__(self, said: dict[int, Tensor | None]) -> None:
        self.said = said
        self.made: list[Judge] = []

    def __call__(
        self, plan: Plan, model: ExplainedClassifier, training: Labelled, validation: Labelled
    ) -> Judge:
        said = self.said[plan.input.size]
        if said is not None:
            said = said.repeat(-(-len(training.samples) // 8), 1)[: len(training.samples)]
        self.made.append(Judge(plan, training, validation, said))
        return self.made[-1]


def candidates(compared: int = 400) -> list[tuple[Plan, ExplainedClassifier]]:
    effort = Effort(compared=compared)
    found = plans(Settings(), Path("/data"), index(), INTENSITY, effort=effort)
    return [(plan, cast(ExplainedClassifier, None)) for plan in found]


@pytest.mark.parametrize(("knows", "best"), [(512, 512), (256, 256), (None, 256)])
def test_the_size_that_judges_unseen_groups_best_is_trained_and_its_features_are_kept(
    knows: int | None, best: int, tmp_path: Path
) -> None:
    bench = Bench({size: TARGETS - 0.5 if size == knows else BLIND for size in (256, 512)})
    training, validation = labelled(), labelled(2)
    found = fitter_of_best_size(candidates(), bench, training, validation, tmp_path / "sizes.json")
    assert found.plan.input.size == best
    assert (found.training, found.validation) == (training, validation)
    assert found in bench.made
    assert len(bench.made) == 2
    kept = json.loads((tmp_path / "sizes.json").read_text(encoding="utf-8"))
    assert (kept["size"], kept["images"], set(kept["losses"])) == (best, 8, {"256", "512"})
    again = Bench({256: None, 512: None})
    found = fitter_of_best_size(candidates(), again, training, validation, tmp_path / "sizes.json")
    assert ([made.plan.input.size for made in again.made], found.plan.input.size) == ([best], best)


def test_where_no_group_can_be_left_out_the_smaller_size_is_taken(tmp_path: Path) -> None:
    bench = Bench({256: None, 512: None})
    found = fitter_of_best_size(candidates(), bench, labelled(), NOBODY, tmp_path / "sizes.json")
    assert found.plan.input.size == 256


def test_of_many_images_whole_groups_are_compared_and_all_are_trained_on(tmp_path: Path) -> None:
    bench = Bench({256: BLIND, 512: TARGETS - 0.5})
    training, validation = labelled(64), labelled(2)
    found = fitter_of_best_size(candidates(16), bench, training, validation, tmp_path / "sizes.json")
    assert (found.plan.input.size, found.training, found.validation) == (512, training, validation)
    *judges, last = bench.made
    assert last is found
    assert len(judges) == 2
    for judge in judges:
        assert not judge.validation.samples
        assert len(judge.training.samples) == pytest.approx(16, abs=2)
        groups = judge.training.groups
        assert all(groups.count(group) == 2 for group in groups)
        assert len({bool(sample.labels) for sample in judge.training.samples}) == 2


def test_one_size_is_trained_without_a_look(tmp_path: Path) -> None:
    bench = Bench({256: None})
    fitter_of_best_size(candidates()[:1], bench, labelled(), NOBODY, tmp_path / "sizes.json")
    assert len(bench.made) == 1
    assert not (tmp_path / "sizes.json").exists()


def test_the_loss_is_that_of_what_is_known_whatever_the_scale() -> None:
    generator = torch.Generator().manual_seed(0)
    targets = (torch.rand(200, 2, generator=generator) > 0.7).float()
    logits = 2 * targets + torch.randn(200, 2, generator=generator)
    loss = unseen_loss(logits, targets)
    assert 0.2 < loss < 0.5
    assert unseen_loss(10 * logits - 3, targets) == pytest.approx(loss, rel=1e-3)
    assert unseen_loss(logits + 2 * torch.randn(200, 2, generator=generator), targets) > loss + 0.1
    assert unseen_loss(torch.zeros(200, 2), targets) == pytest.approx(0.693, abs=0.001)
    assert unseen_loss(targets, targets) < 0.15


def test_a_class_that_no_image_or_every_image_shows_tells_nothing() -> None:
    targets = torch.cat([TARGETS, torch.ones(8, 1), torch.zeros(8, 1)], 1)
    assert unseen_loss(targets, targets) == unseen_loss(TARGETS, TARGETS)
    assert unseen_loss(torch.zeros(8, 1), torch.ones(8, 1)) == float("inf")


def test_two_sizes_are_planned_where_features_are_computed_once() -> None:
    def sizes(own: bool = False, **choices: object) -> list[int]:
        settings = Settings.model_validate(choices)
        return [p.input.size for p in plans(settings, Path("/data"), index(), INTENSITY, own=own)]

    assert sizes() == [256, 512]
    assert sizes(size=300) == [300]
    assert sizes(finetune=True) == [256]
    assert sizes(backbone="vgg-narrow") == [256]
    assert sizes(own=True) == [256]
    settings = Settings()
    unasked = plans(settings, Path("/data"), index(), INTENSITY, effort=replace(LITTLE, compared=0))
    assert [plan.input.size for plan in unasked] == [256]


def test_a_training_that_compares_sizes_gives_what_the_best_size_gives_by_itself(
    small: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def two(settings: Settings, *args: Any, **choices: Any) -> tuple[Plan, ...]:  # noqa: ANN401
        sizes = (settings.size,) if settings.size else (32, 48)
        return tuple(plan(settings.model_copy(update={"size": size}), *args, **choices) for size in sizes)

    monkeypatch.setattr(relmask.training.train, "plans", two)
    compared = small("compared", size=None)
    kept = json.loads((compared.path / "sizes.json").read_text(encoding="utf-8"))
    assert compared.metadata.input.size == kept["size"]
    assert set(kept["losses"]) == {"32", "48"}
    alone = small("alone", size=kept["size"])
    assert weights_of(alone) == weights_of(compared)
    assert alone.metadata.calibration == compared.metadata.calibration
    assert not (alone.path / "sizes.json").exists()
    again = small("compared", size=None, resume=True)
    assert weights_of(again) == weights_of(compared)
