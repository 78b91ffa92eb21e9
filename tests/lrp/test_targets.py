import numpy as np
import pytest
import torch

from relmask.errors import UsageError
from relmask.lrp.targets import Contrast, Target, starting_relevance

LOGITS = torch.tensor([[1.0, 4.0, -2.0], [3.0, 0.0, 2.0]])


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (None, [[0, 4, 0], [3, 0, 0]]),
        (2, [[0, 0, -2], [0, 0, 2]]),
        (torch.tensor([2, 0]), [[0, 0, -2], [3, 0, 0]]),
        (Contrast(1, 2), [[0, 4, 2], [0, 0, -2]]),
        (Contrast(1), [[-0.5, 4, 1], [-1.5, 0, -1]]),
        (Contrast(torch.tensor([0, 2]), torch.tensor([1, 0])), [[1, -4, 0], [-3, 0, 2]]),
        (torch.full((2, 3), 0.25), [[0.25] * 3] * 2),
        ([2, 0], [[0, 0, -2], [3, 0, 0]]),
        (np.array([2, 0]), [[0, 0, -2], [3, 0, 0]]),
        (np.int64(2), [[0, 0, -2], [0, 0, 2]]),
        (Contrast([0, 2], (1, 0)), [[1, -4, 0], [-3, 0, 2]]),
    ],
    ids=[
        "predicted",
        "class",
        "class per image",
        "two classes",
        "one against the rest",
        "per image",
        "given",
        "list",
        "array",
        "number of an array",
        "lists",
    ],
)
def test_relevance_starts_at_the_logits_explained(target: Target, expected: list[list[float]]) -> None:
    torch.testing.assert_close(
        starting_relevance(LOGITS, target), torch.tensor(expected, dtype=torch.float32)
    )


def test_relevance_to_start_from_takes_the_type_of_the_logits() -> None:
    assert starting_relevance(LOGITS, torch.ones(2, 3, dtype=torch.float64)).dtype == torch.float32


def test_one_logit_is_explained_without_a_target() -> None:
    logit = torch.tensor([[-1.5], [2.0]])
    torch.testing.assert_close(starting_relevance(logit, None), logit)
    torch.testing.assert_close(starting_relevance(logit, 0), logit)


@pytest.mark.parametrize(
    "target",
    [
        3,
        -1,
        torch.tensor([0, 3]),
        torch.tensor([0, 1, 2]),
        torch.ones(3, 2),
        torch.tensor([True, False]),
        Contrast(0, 3),
        Contrast(0.5),  # type: ignore[arg-type]
        [0, 1, 2],
        "crack",
        {0},
        torch.tensor([0.0, 1.0]),
        torch.tensor([[0, 1, torch.nan]] * 2),
    ],
    ids=str,
)
def test_targets_that_do_not_exist_are_refused(target: Target) -> None:
    with pytest.raises(UsageError):
        starting_relevance(LOGITS, target)


def test_of_one_logit_only_target_0_exists() -> None:
    with pytest.raises(UsageError, match="0 alone, for the model has one logit; got 1"):
        starting_relevance(LOGITS[:, :1], 1)


def test_a_contrast_wants_two_classes() -> None:
    with pytest.raises(UsageError, match="one logit"):
        starting_relevance(LOGITS[:, :1], Contrast(0))
