import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from relmask.errors import UnsupportedModel
from relmask.lrp.graph import capture
from relmask.lrp.module_paths import module_path


class Positions(nn.Module):
    """A part that only one size fits, as in a transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.randn(3, 8, 8))

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.positions).flatten(1)


class Branching(nn.Module):
    """A part that depends on the size."""

    def forward(self, x: Tensor) -> Tensor:
        return (x * 2 if x.shape[2] > 16 else x).mean((2, 3))


def test_sizes_stay_open_where_the_model_allows() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    fits = capture(model, torch.randn(2, 3, 8, 8), (0, 2, 3)).fits
    assert fits.sizes == (None, 3, None, None)
    assert fits(torch.empty(1, 3, 50, 21))
    assert not fits(torch.empty(1, 4, 8, 8))
    assert not fits(torch.empty(3, 8, 8))


def test_sizes_that_the_model_needs_are_kept() -> None:
    fits = capture(Positions(), torch.randn(2, 3, 8, 8), (0, 2, 3)).fits
    assert fits(torch.empty(5, 3, 8, 8))
    assert not fits(torch.empty(5, 3, 9, 8))


def test_a_branch_on_the_size_is_only_taken_where_it_is_right() -> None:
    fits = capture(Branching(), torch.randn(2, 3, 8, 8), (0, 2, 3)).fits
    assert fits(torch.empty(2, 3, 12, 30))
    assert not fits(torch.empty(2, 3, 17, 30))


def test_nodes_know_their_module() -> None:
    model = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3)), nn.Flatten())
    graph = capture(model, torch.randn(2, 3, 4, 4), ()).graph
    assert [module_path(node) for node in graph.nodes if node.op == "call_function"] == ["0.0", "1"]


class Returning(nn.Module):
    def __init__(self, *kinds: str) -> None:
        super().__init__()
        self.kinds = kinds

    def forward(self, x: Tensor) -> object:
        means = x.mean((2, 3))
        values = {"logits": means, "maps": F.relu(x), "vector": means[0]}
        return values[self.kinds[0]] if len(self.kinds) == 1 else tuple(values[kind] for kind in self.kinds)


class Branched(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) if x.sum() > 0 else -x.flatten(1)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Returning("maps"), r"return logits \(N, K\); it returns \(2, 3, 4, 4\)"),
        (Returning("vector"), r"return logits \(N, K\); it returns \(3,\)"),
        (Returning("logits", "maps"), "returns 2"),
        (Branched(), "cannot trace Branched"),
    ],
    ids=["maps", "vector", "two", "branch on values"],
)
def test_models_that_cannot_be_explained_say_why(model: nn.Module, reason: str) -> None:
    with pytest.raises(UnsupportedModel, match=reason):
        capture(model, torch.randn(2, 3, 4, 4), ())
