"""Images that a CPU explains a few at a time."""

import pytest
import torch
from torch import Tensor, nn

from relmask.errors import UsageError
from relmask.lrp import Contrast, Explainer, compile, program
from relmask.lrp.program import Program
from relmask.lrp.targets import Target

SIZE = 8
WIDEST = 5 * SIZE * SIZE * 4  # bytes of the first convolution's output, an image


@pytest.fixture(scope="module")
def explainer() -> Explainer:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1, bias=False),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(5, 3, bias=False),
    )
    return compile(model, torch.rand(2, 3, SIZE, SIZE), "epsilon_plus")


@pytest.fixture
def images() -> Tensor:
    return torch.rand(5, 3, SIZE, SIZE)


@pytest.mark.parametrize(
    ("cache", "sizes"),
    [(1, [1] * 5), (2 * WIDEST, [2, 2, 1]), (4 * WIDEST, [3, 2]), (5 * WIDEST, [5]), (10**9, [5])],
)
def test_pieces_are_even_and_as_large_as_the_cache_allows(
    explainer: Explainer, images: Tensor, monkeypatch: pytest.MonkeyPatch, cache: int, sizes: list[int]
) -> None:
    monkeypatch.setattr(program, "CACHE", cache)
    compiled = explainer.programs[0]
    assert isinstance(compiled, Program)
    assert [len(piece) for piece in compiled.pieces(images)] == sizes


@pytest.mark.parametrize(
    "target",
    [
        None,
        1,
        torch.tensor(2),
        torch.tensor([0, 1, 2, 1, 0]),
        Contrast(1),
        [0, 1, 2, 1, 0],
        Contrast([0, 1, 0, 1, 0], 2),
        Contrast(torch.tensor([0, 1, 2, 1, 0]), torch.tensor([1, 2, 0, 0, 2])),
        torch.rand(5, 3, generator=torch.Generator().manual_seed(0)),
    ],
    ids=str,
)
def test_pieces_give_what_the_whole_batch_gives(
    explainer: Explainer, images: Tensor, monkeypatch: pytest.MonkeyPatch, target: Target
) -> None:
    whole = explainer.explain(images, target)
    monkeypatch.setattr(program, "CACHE", 2 * WIDEST)
    pieces = explainer.explain(images, target)
    torch.testing.assert_close(pieces.logits, whole.logits)
    torch.testing.assert_close(pieces.relevance, whole.relevance)
    torch.testing.assert_close(pieces.conserved, whole.conserved)


def test_a_wrong_number_of_targets_is_refused_whole(
    explainer: Explainer, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "CACHE", 1)
    with pytest.raises(UsageError, match="5 images"):
        explainer(images, torch.tensor([0, 1]))


def test_channels_last_survives_pieces(
    explainer: Explainer, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "CACHE", 2 * WIDEST)
    last = images.to(memory_format=torch.channels_last)
    assert explainer(last, 0)[1].is_contiguous(memory_format=torch.channels_last)


def test_a_model_for_one_number_of_images_is_not_cut(images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    class Fixed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.reshape(5, 3, -1).sum(-1)

    monkeypatch.setattr(program, "CACHE", 1)
    logits, relevance = compile(Fixed(), images, "epsilon_plus")(images)
    assert logits.shape == (5, 3)
    assert relevance.shape == images.shape


def test_no_images_have_no_relevance(explainer: Explainer) -> None:
    compiled = explainer.programs[0]
    assert isinstance(compiled, Program)
    assert len(compiled.pieces(torch.rand(0, 3, SIZE, SIZE))) == 1
