"""What all tests share: repeatable arithmetic, and the real data where a checkout has it."""

import os
import signal
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from relmask.inference.run import Run
from relmask.models.zoo import classifier
from relmask.synthetic.surfaces import write_surfaces
from relmask.training.effort import Effort
from relmask.training.train import train

torch.set_num_threads(1)
settings.register_profile("relmask", deadline=None, derandomize=True)
settings.load_profile("relmask")
if (
    signal.getsignal(signal.SIGINT) == signal.SIG_IGN
):  # as in a background job: programs that tests start inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


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


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DATA: 64 pictures of 64 px, every class in every split. Tests must not change it."""
    folder = tmp_path_factory.mktemp("parts")
    write_surfaces(folder, images=64, size=64)
    return folder


@pytest.fixture(scope="session")
def narrow_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights for vgg-narrow, so that there is a frozen backbone that is fast."""
    path = tmp_path_factory.mktemp("weights") / "narrow.pt"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(classifier("vgg-narrow", 2).state_dict(), path)
    return path


@pytest.fixture(scope="session")
def trained(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of the default backbone that has learned a little. Tests must not change it."""
    effort = Effort(steps=30, explained=2, compared=0, checked=0)
    out = tmp_path_factory.mktemp("trained") / "run"
    return train(parts, out, size=64, epochs=2, false_alarms=0.3, effort=effort)
