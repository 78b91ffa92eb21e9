from pathlib import Path

import pytest
import torch
from PIL import Image

from relmask.data.index import Sample
from relmask.data.labelled import Labelled, readable
from relmask.errors import DataError
from relmask.progress import silent


def sample(path: Path, *labels: str, group: str = "") -> Sample:
    return Sample(path, path.name, frozenset(labels), group or path.name)


def test_targets_are_in_the_order_of_the_classes() -> None:
    samples = [sample(Path("a"), "pit"), sample(Path("b")), sample(Path("c"), "pit", "crack", group="g")]
    found = Labelled.of(samples, ("crack", "pit", "stain"))
    assert found.targets.tolist() == [[0, 1, 0], [0, 0, 0], [1, 1, 0]]
    assert found.samples == tuple(samples)
    assert found.groups == ["a", "b", "g"]


def test_no_samples_have_no_targets_but_still_classes() -> None:
    assert Labelled.of([], ("crack", "pit")).targets.shape == (0, 2)


def test_some_can_be_taken() -> None:
    found = Labelled.of([sample(Path(name), name) for name in "abc"], "abc").take([2, 0])
    assert [one.name for one in found.samples] == ["c", "a"]
    assert torch.equal(found.targets, torch.tensor([[0.0, 0, 1], [1, 0, 0]]))


@pytest.fixture
def mixed(tmp_path: Path) -> list[Sample]:
    for name in ("good.png", "fine.png"):
        Image.new("L", (8, 8)).save(tmp_path / name)
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("no picture", encoding="utf-8")
    return [sample(tmp_path / name) for name in ("good.png", "empty.png", "fine.png", "text.jpg", "gone.png")]


def test_broken_pictures_are_left_out_and_named(mixed: list[Sample]) -> None:
    steps: list[tuple[int, int]] = []
    with pytest.warns(UserWarning, match="3 pictures cannot be read") as warned:
        found = readable(mixed, lambda task, done, total, note="": steps.append((done, total)))
    assert found == [mixed[0], mixed[2]]
    assert all(name in str(warned[0].message) for name in ("empty.png", "text.jpg", "gone.png"))
    assert steps == [(number, 5) for number in range(1, 6)]


def test_only_broken_pictures_are_a_data_error(mixed: list[Sample]) -> None:
    with pytest.raises(DataError, match="None of 2 pictures can be read"):
        readable([mixed[1], mixed[3]], silent)
    with pytest.warns(UserWarning, match="2 pictures cannot be read"):
        assert readable([mixed[1], mixed[3]], silent, needed=False) == []


def test_good_pictures_warn_of_nothing(mixed: list[Sample]) -> None:
    assert readable(mixed[:1], silent) == mixed[:1]
    assert readable([], silent) == []
