from pathlib import Path

import pytest
import torch

from relmask.errors import OutError, RunError
from relmask.training import checkpoints


def test_a_state_comes_back(tmp_path: Path) -> None:
    state = {"model": {"a": torch.rand(3)}, "history": [{"epoch": 0, "loss": 0.5}]}
    checkpoints.save(tmp_path / "new", 0, state, keep=set())
    found = checkpoints.load(tmp_path / "new", 0)
    assert torch.equal(found["model"]["a"], state["model"]["a"])  # type: ignore[index]
    assert found["history"] == state["history"]


def test_only_the_last_and_those_to_keep_stay(tmp_path: Path) -> None:
    for epoch in range(12):
        checkpoints.save(tmp_path, epoch, {}, keep={2, 5})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "epoch-0002.pt",
        "epoch-0005.pt",
        "epoch-0011.pt",
    ]
    assert checkpoints.last_epoch(tmp_path) == 11


@pytest.mark.parametrize("folder", [".", "absent"])
def test_without_a_checkpoint_there_is_no_last_epoch(tmp_path: Path, folder: str) -> None:
    assert checkpoints.last_epoch(tmp_path / folder) is None


@pytest.mark.parametrize("content", [None, b"", b"not a checkpoint"])
def test_an_absent_or_damaged_checkpoint_is_a_run_error(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "epoch-0003.pt").write_bytes(content)
    with pytest.raises(RunError, match=r"epoch-0003\.pt cannot be read"):
        checkpoints.load(tmp_path, 3)


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"model": Path("x")}, tmp_path / "epoch-0000.pt")
    with pytest.raises(RunError, match="cannot be read"):
        checkpoints.load(tmp_path, 0)


def test_something_else_than_a_state_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "epoch-0000.pt")
    with pytest.raises(RunError, match="holds no state"):
        checkpoints.load(tmp_path, 0)


def test_files_of_other_names_are_no_checkpoints(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, 4, {}, keep=set())
    for name in ("epoch-last.pt", "epoch-0009.pt.bak", ".epoch-0008.1.part.pt"):
        (tmp_path / name).touch()
    assert checkpoints.last_epoch(tmp_path) == 4


def test_a_failed_write_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, 0, {"a": 1}, keep=set())
    with pytest.raises(OutError):
        checkpoints.save(tmp_path / "epoch-0000.pt", 1, {}, keep=set())
    with pytest.raises(AttributeError):
        checkpoints.save(tmp_path, 1, {"a": lambda: 0}, keep=set())
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-0000.pt"]
