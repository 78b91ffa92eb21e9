"""What all tests share: repeatable arithmetic, and the real data where a checkout has it."""

import os
import signal
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from relmask.inference.run import Run
from relmask.models.zoo import classifier
from relmask.synthetic.surfaces import write_surfaces
from relmask.training import plan
from relmask.training import train as training
from relmask.training.loop import Schedule
from relmask.training.thresholds import thresholds_of
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


def shorten(patch: pytest.MonkeyPatch, steps: int = 3, explained: int = 3) -> None:
    """Make epochs of a few batches, and choose thresholds from a few images."""
    patch.setattr(plan, "Schedule", partial(Schedule, steps=steps))
    patch.setattr(training, "thresholds_of", partial(thresholds_of, explained=explained))
    patch.setattr(training, "CHECKED", 0)  # what has hardly learned fails, with a warning


@pytest.fixture
def short_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings of this test take seconds."""
    shorten(monkeypatch)


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
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch, steps=30, explained=6)
        return train(parts, tmp_path_factory.mktemp("trained") / "run", size=64, epochs=2, false_alarms=0.3)
