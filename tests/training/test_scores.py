from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from relmask.data.index import Sample
from relmask.data.labelled import Labelled
from relmask.training.classifier import Fitter
from relmask.training.scores import scores_of

CLASSES = ("crack", "pit")
TRAINING, VALIDATION = torch.full((6, 2), 1.0), torch.full((4, 2), 2.0)
"""Logits of the model itself."""
CROSSED = torch.full((6, 2), 3.0)
"""Logits of training images, each by a head that never saw its group."""


def part(name: str, *labels: str, groups: str = "") -> Labelled:
    """Images with these labels, each of its own group if `groups` names none."""
    samples = [
        Sample(
            Path(f"/{name}{number}.png"),
            f"{name}{number}.png",
            frozenset(filter(None, [label])),
            f"{name}-{groups[number] if groups else number}",
        )
        for number, label in enumerate(labels)
    ]
    return Labelled.of(samples, CLASSES)


@dataclass
class Trained:
    """What `scores_of` asks of a fitter, and how often it was asked to train other heads."""

    training: Labelled
    validation: Labelled
    crossed: Tensor | None = None
    asked: int = 0

    def cross_fitted(self) -> Tensor | None:
        self.asked += 1
        return self.crossed


TRAIN = part("train", "", "", "", "crack", "crack", "pit")


def test_enough_clean_groups_of_validation_are_all_that_is_needed() -> None:
    fitter = Trained(TRAIN, part("val", "", "", "crack", "pit"), CROSSED)
    found = scores_of(cast(Fitter, fitter), (TRAINING, VALIDATION), rate=0.5)
    assert found.scores.logits.tolist() == VALIDATION.tolist()
    assert found.scores.targets.tolist() == [[False, False], [False, False], [True, False], [False, True]]
    assert list(found.scores.groups) == ["val-0", "val-1", "val-2", "val-3"]
    assert found.names == ["val0.png", "val1.png", "val2.png", "val3.png"]
    assert set(found.sources) == {"validation"}
    assert fitter.asked == 0


def test_where_clean_groups_are_too_few_training_images_are_judged_too() -> None:
    """Two clean images of one group are one piece of evidence, and half of them may not be told from none."""
    fitter = Trained(TRAIN, part("val", "", "", "crack", "pit", groups="aabc"), CROSSED)
    found = scores_of(cast(Fitter, fitter), (TRAINING, VALIDATION), rate=0.5)
    assert found.scores.logits.tolist() == [*VALIDATION.tolist(), *CROSSED.tolist()]
    assert found.sources == ["validation"] * 4 + ["cross-fitted"] * 6
    assert found.names[3:5] == ["val3.png", "train0.png"]
    assert list(found.scores.groups)[:2] == ["val-a", "val-a"]
    assert len(found.scores.targets) == len(found.scores.groups) == 10
    assert fitter.asked == 1


def test_without_such_heads_validation_has_to_do() -> None:
    fitter = Trained(TRAIN, part("val", "", "", "crack", "pit"), None)
    found = scores_of(cast(Fitter, fitter), (TRAINING, VALIDATION), rate=0.01)
    assert set(found.sources) == {"validation"}
    assert fitter.asked == 1


def test_with_neither_the_model_judges_what_it_was_trained_on() -> None:
    fitter = Trained(TRAIN, part("val"), None)
    found = scores_of(cast(Fitter, fitter), (TRAINING, VALIDATION[:0]), rate=0.01)
    assert found.scores.logits.tolist() == TRAINING.tolist()
    assert set(found.sources) == {"training"}
    assert found.names == [sample.name for sample in TRAIN.samples]


def test_without_validation_heads_that_saw_no_group_are_preferred() -> None:
    fitter = Trained(TRAIN, part("val"), CROSSED)
    found = scores_of(cast(Fitter, fitter), (TRAINING, VALIDATION[:0]), rate=0.01)
    assert found.scores.logits.tolist() == CROSSED.tolist()
    assert set(found.sources) == {"cross-fitted"}
