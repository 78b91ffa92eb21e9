"""What all tests share: repeatable arithmetic, and the real data where a checkout has it."""

import os
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the real data sets; RELMASK_DATA names it, else `../shared/data` beside the checkout."""
    data = Path(os.environ.get("RELMASK_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not data.is_dir():
        pytest.skip("no real data here: set RELMASK_DATA to its folder")
    return data
