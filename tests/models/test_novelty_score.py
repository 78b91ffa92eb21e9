import pytest
import torch

from relmask.models.image_novelty import NearestImages
from relmask.models.novelty_score import IMAGE_WEIGHT, LOCATION_WEIGHT, NoveltyScore

LOGITS = torch.tensor([[1.0, 0, -2], [3, 0.5, 0]])
FEATURES = torch.linspace(0, 2, 128).view(2, 4, 4, 4)


def test_nothing_known_of_novelty_adds_nothing() -> None:
    assert torch.equal(NoveltyScore()(LOGITS, FEATURES, None), LOGITS)
    assert NoveltyScore().as_if_unseen(torch.rand(2, 4), ["a", "b"], torch.ones(2).bool()).tolist() == [
        [0],
        [0],
    ]


@pytest.mark.parametrize("groups", [1, 3])
def test_the_most_novel_location_speaks_for_every_class_or_for_its_own(groups: int) -> None:
    novelty = torch.zeros(2, groups, 4, 4)
    novelty[1, 0, 2, 2] = 50
    added = NoveltyScore()(LOGITS, FEATURES, novelty) - LOGITS
    high = 50 * LOCATION_WEIGHT
    expected = [high] * 3 if groups == 1 else [high, 0, 0]
    torch.testing.assert_close(added, torch.tensor([[0.0] * 3, expected]))


def test_an_image_far_from_clean_ones_is_likelier_of_every_class() -> None:
    nearest = NearestImages(2, 4, clean=2)
    nearest.clean.copy_(torch.arange(2))
    nearest.seen[1] = FEATURES[1].amax((1, 2))
    added = NoveltyScore(nearest)(LOGITS, FEATURES, None) - LOGITS
    assert (added[0] > 0.1).all()
    torch.testing.assert_close(added, IMAGE_WEIGHT * nearest(FEATURES)[:, None].expand(2, 3))
