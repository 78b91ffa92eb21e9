import itertools
import time
from pathlib import Path
from typing import cast

import pytest

from relmask.data.splits import Split
from relmask.evaluation.comparison.settings import Settings
from relmask.evaluation.comparison.shared import Shared
from relmask.progress import silent


def test_the_time_that_a_stopped_training_took_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = Shared(tmp_path, cast("Split", None), Settings(), silent)
    monkeypatch.setattr(time, "perf_counter", itertools.count(step=5).__next__)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shared._seconds("unet", stop)
    assert shared._seconds("unet", lambda: None) == 10
    assert shared._seconds("unet", stop) == 10
