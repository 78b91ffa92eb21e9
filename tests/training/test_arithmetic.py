import pytest
import torch

from relmask.errors import UsageError
from relmask.training.arithmetic import PRECISIONS, arithmetic_of

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", PRECISIONS)
@pytest.mark.parametrize("outer", [True, False])
def test_products_have_the_precision_that_was_asked_for(name: str, outer: bool) -> None:
    values = torch.rand(4, 4)
    with torch.autocast("cpu", torch.float16, enabled=outer), arithmetic_of(CPU, name).autocast():
        found = values @ values
    assert found.dtype == (PRECISIONS[name] or torch.float32)


def test_an_unknown_precision_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"No precision '16'. There are: 32-true, bf16-mixed\."):
        arithmetic_of(CPU, "16")
