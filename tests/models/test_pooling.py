import pytest
import torch

from relmask.models.pooling import GuidedPooling


def pooling(sharpness: float = 0.0, guidance: float = 0.0, classes: int = 2) -> GuidedPooling:
    return GuidedPooling(classes, guidance=guidance, sharpness=sharpness)


def test_it_is_the_mean_without_sharpness_and_near_the_maximum_with_much() -> None:
    scores = torch.randn(3, 2, 4, 4)
    torch.testing.assert_close(pooling()(scores, None), scores.mean((2, 3)))
    torch.testing.assert_close(pooling(sharpness=500)(scores, None), scores.amax((2, 3)))


def test_it_lies_between_mean_and_maximum() -> None:
    scores = torch.randn(3, 2, 4, 4)
    found = pooling(sharpness=1)(scores, None)
    assert (found > scores.mean((2, 3))).all()
    assert (found < scores.amax((2, 3))).all()


def test_it_looks_where_the_picture_is_novel() -> None:
    scores, novelty = torch.randn(1, 2, 4, 4), torch.zeros(1, 1, 4, 4)
    novelty[0, 0, 1, 2] = 50
    found = pooling(guidance=1)(scores, novelty)
    torch.testing.assert_close(found, scores[:, :, 1, 2])


def test_each_class_may_have_a_novelty_of_its_own() -> None:
    scores, novelty = torch.randn(1, 2, 4, 4), torch.zeros(1, 2, 4, 4)
    novelty[0, 0, 0, 0] = novelty[0, 1, 3, 3] = 50
    found = pooling(guidance=1)(scores, novelty)
    torch.testing.assert_close(found[0], torch.stack((scores[0, 0, 0, 0], scores[0, 1, 3, 3])))


def test_the_shares_of_locations_sum_to_1() -> None:
    shares = pooling(sharpness=2, guidance=1).weights(torch.randn(3, 2, 4, 4), torch.randn(3, 1, 4, 4))
    torch.testing.assert_close(shares.sum(2), torch.ones(3, 2))


@pytest.mark.parametrize(("guidance", "learned"), [(1.0, True), (0.0, False)])
def test_guidance_is_learned_only_where_something_guides(guidance: float, learned: bool) -> None:
    assert pooling(guidance=guidance).guidance.requires_grad == learned


def test_it_can_begin_again() -> None:
    found = pooling(sharpness=0.5, guidance=1)
    torch.nn.init.constant_(found.sharpness, 9)
    torch.nn.init.constant_(found.guidance, 9)
    found.reset_parameters()
    assert found.sharpness.tolist() == [0.5, 0.5]
    assert found.guidance.tolist() == [1, 1]
