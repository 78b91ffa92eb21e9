import pytest
import torch

from relmask.models.image_novelty import Memory, nearest_of_others


def test_an_image_is_as_novel_as_its_nearest_remembered_one_is_far() -> None:
    memory = Memory(2, 3)
    memory.seen.copy_(torch.tensor([[1.0, 0, 0], [0, 2, 0]]))
    memory.limit.fill_(0.5)
    features = torch.zeros(2, 3, 4, 4)
    features[0, 0, 1, 2] = 1  # one place is enough to be known again
    features[1, 2, 3, 3] = 3
    assert memory(features).tolist() == pytest.approx([0, (10**0.5) / 0.5])


def test_an_image_is_strange_as_far_as_the_nearest_clean_one_is_farther_than_usual() -> None:
    memory = Memory(3, 2, clean=2)
    memory.seen.copy_(torch.tensor([[1.0, 0], [0, 1], [4, 4]]))
    memory.clean.copy_(torch.tensor([0, 1]))
    memory.usual.fill_(1)
    memory.spread.fill_(2)
    features = torch.zeros(4, 2, 2, 2)
    features[0, 0, 0, 1] = 1  # known: less than usual
    features[1, 1, 1, 0] = 4
    features[2] = 4  # known, but not as clean
    features[3] = 99
    assert memory.strangeness(features).tolist() == pytest.approx([-0.5, 1, 2, 3], abs=1e-5)
    assert memory.strangeness(features.bfloat16()).dtype == torch.float32


def test_where_nothing_tells_what_is_usual_nothing_is_strange() -> None:
    assert Memory(3, 2).strangeness(torch.rand(4, 2, 2, 2)).tolist() == [0, 0, 0, 0]


def test_pictures_of_the_same_part_do_not_make_each_other_known() -> None:
    kept = torch.tensor([[0.0], [0.1], [5.0]])
    groups = ["a", "a", "b"]
    assert nearest_of_others(kept, groups, kept, groups).tolist() == pytest.approx([5, 4.9, 4.9])
    assert nearest_of_others(kept[:2], groups[:2], kept[:2], groups[:2]).isinf().all()
