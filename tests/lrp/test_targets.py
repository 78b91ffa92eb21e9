import pytest
import torch

from relmask.errors import UsageError
from relmask.lrp.targets import Contrast, Target, start

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
    ],
    ids=[
        "predicted",
        "class",
        "class per image",
        "two classes",
        "one against the rest",
        "per image",
        "given",
    ],
)
def test_relevance_starts_at_the_logits_explained(target: Target, expected: list[list[float]]) -> None:
    torch.testing.assert_close(start(LOGITS, target), torch.tensor(expected, dtype=torch.float32))


def test_relevance_to_start_from_takes_the_type_of_the_logits() -> None:
    assert start(LOGITS, torch.ones(2, 3, dtype=torch.float64)).dtype == torch.float32


def test_one_logit_is_explained_without_a_target() -> None:
    logit = torch.tensor([[-1.5], [2.0]])
    torch.testing.assert_close(start(logit, None), logit)
    torch.testing.assert_close(start(logit, 0), logit)


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
    ],
    ids=str,
)
def test_targets_that_do_not_exist_are_refused(target: Target) -> None:
    with pytest.raises(UsageError):
        start(LOGITS, target)


def test_a_contrast_wants_two_classes() -> None:
    with pytest.raises(UsageError, match="one logit"):
        start(LOGITS[:, :1], Contrast(0))
