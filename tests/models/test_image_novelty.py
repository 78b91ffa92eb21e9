import pytest
import torch

from relmask.models.image_novelty import LIMIT, NearestImages, nearest_of_others


def nearest(seen: list[list[float]], clean: list[int]) -> NearestImages:
    made = NearestImages(len(seen), len(seen[0]), clean=len(clean))
    made.seen.copy_(torch.tensor(seen))
    made.clean.copy_(torch.tensor(clean, dtype=torch.long))
    return made


def test_an_image_is_as_novel_as_its_nearest_training_image_is_far() -> None:
    known = nearest([[1.0, 0, 0], [0, 2, 0]], [])
    known.limit.fill_(0.5)
    features = torch.zeros(2, 3, 4, 4)
    features[0, 0, 1, 2] = 1  # one location is enough to be known again
    features[1, 2, 3, 3] = 3
    assert known.novelty(features).tolist() == pytest.approx([0, (10**0.5) / 0.5])


def test_the_clean_distance_is_measured_from_the_nearest_clean_image_and_bounded() -> None:
    known = nearest([[1.0, 0], [0, 1], [4, 4]], [0, 1])
    known.clean_median.fill_(1)
    known.clean_spread.fill_(2)
    features = torch.zeros(4, 2, 2, 2)
    features[0, 0, 0, 1] = 1  # known: nearer than the median
    features[1, 1, 1, 0] = 4
    features[2] = 4  # known, but not as clean
    features[3] = 99
    assert known(features).tolist() == pytest.approx([-0.5, 1, 2, LIMIT], abs=1e-5)
    assert known(features.bfloat16()).dtype == torch.float32


def test_without_a_scale_every_clean_distance_is_0() -> None:
    known = NearestImages(3, 2)
    assert known(torch.rand(4, 2, 2, 2)).tolist() == [0, 0, 0, 0]
    assert known.as_if_unseen(torch.rand(4, 2), list("abcd"), torch.ones(4).bool()).tolist() == [0] * 4


def test_a_training_image_lacks_the_way_to_the_nearest_clean_image_of_another_group() -> None:
    known = nearest([[0.0], [1], [4], [9]], [0, 1, 2])
    known.clean_median.fill_(2)
    known.clean_spread.fill_(4)
    clean = torch.tensor([True, True, True, False])
    found = known.as_if_unseen(known.seen, ["a", "a", "b", "c"], clean)
    assert found.tolist() == pytest.approx([(4 - 0) / 4, (3 - 0) / 4, (3 - 0) / 4, 0])


def test_a_clean_image_without_any_of_another_group_counts_as_the_median() -> None:
    known = nearest([[0.0], [1], [9]], [0, 1])
    known.clean_median.fill_(2)
    known.clean_spread.fill_(4)
    found = known.as_if_unseen(known.seen, ["a", "a", "b"], torch.tensor([True, True, False]))
    assert (known.standardised(torch.zeros(2)) + found[:2]).tolist() == [0, 0]
    assert float(found[2]) == 0


def test_images_none_of_which_is_clean_do_not_find_themselves() -> None:
    known = nearest([[0.0], [1], [9]], [0, 1])
    assert known.as_if_unseen(torch.tensor([[9.0], [5]]), ["a", "b"], torch.zeros(2).bool()).tolist() == [
        0,
        0,
    ]


def test_pictures_of_the_same_part_do_not_make_each_other_known() -> None:
    kept = torch.tensor([[0.0], [0.1], [5.0]])
    groups = ["a", "a", "b"]
    assert nearest_of_others(kept, groups, kept, groups).tolist() == pytest.approx([5, 4.9, 4.9])
    assert nearest_of_others(kept[:2], groups[:2], kept[:2], groups[:2]).isinf().all()
