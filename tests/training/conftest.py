from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from relmask.inference.run import Run
from relmask.training.train import train
from tests.effort import LITTLE

Trainer = Callable[..., Run]


@pytest.fixture
def small(parts: Path, narrow_weights: Path, tmp_path: Path) -> Trainer:
    """Trains a frozen vgg-narrow for an epoch, if not told otherwise."""

    def run(out: str = "run", data: Path = parts, **choices: Any) -> Run:  # noqa: ANN401
        chosen = {
            "backbone": "vgg-narrow",
            "weights": narrow_weights,
            "size": 32,
            "epochs": 1,
            "false_alarms": 0.4,
            "effort": LITTLE,
            **choices,
        }
        return train(data, tmp_path / out, **chosen)

    return run


def weights_of(run: Run) -> bytes:
    return (run.path / "model.safetensors").read_bytes()
