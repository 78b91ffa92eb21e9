from pathlib import Path

import pytest

from tests.jobs.fakes import FakeRun


@pytest.fixture
def run(tmp_path: Path) -> FakeRun:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "relmask.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return FakeRun(folder)
