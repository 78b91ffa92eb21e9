"""Models of a single function, for the tests of operators."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from relmask.lrp import Composite, compile

SHAPE = (3, 4, 6, 8)
CONSTANT = torch.randn(4, 1, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
MATRIX = torch.randn(5, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
MATRICES = torch.randn(4, 8, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
Function = Callable[[Tensor], Tensor]


class Only(nn.Module):
    """One function, its output taken as logits."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function
        self.register_buffer("offset", torch.randn(4, 1, 1, dtype=torch.float64))
        self.norm = nn.BatchNorm2d(4).double()
        self.norm.running_mean = torch.randn(4, dtype=torch.float64)
        self.norm.running_var = torch.rand(4, dtype=torch.float64) + 0.5

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x).flatten(1)


def passed(
    function: Function, x: Tensor, composite: str | Composite = "epsilon_plus"
) -> tuple[Tensor, Tensor]:
    """Random relevance of the output, and the input's; also checks logits and one image alone."""
    model = Only(function)
    explainer = compile(model, x, composite)
    start = torch.randn_like(model(x))
    logits, relevance = explainer(x, start)
    torch.testing.assert_close(logits, model(x))
    _, alone = explainer(x[1:2], start[1:2])
    torch.testing.assert_close(alone, relevance[1:2])
    return start, relevance


def pulled_back(function: Function, x: Tensor, start: Tensor) -> Tensor:
    """start, times the derivative."""
    x = x.detach().requires_grad_()
    return torch.autograd.grad(function(x).flatten(1), x, start)[0]


def proportional(function: Function, x: Tensor, start: Tensor) -> Tensor:
    """Each input's share of a linear function."""
    total = function(x).flatten(1)
    return x * pulled_back(function, x, start / (total + 1e-6 * torch.where(total < 0, -1, 1)))


def image() -> Tensor:
    return torch.randn(SHAPE, dtype=torch.float64)
