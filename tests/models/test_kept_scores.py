from pathlib import Path

import numpy as np
import pytest

from relmask.errors import RunError
from relmask.masks.gates import Scores
from relmask.models.kept_scores import SCORES, KeptScores, read_scores, write_scores

CLASSES = ("Rost, tief", "rost, tief", 'a "pit"')


@pytest.fixture
def kept() -> KeptScores:
    logits = np.random.default_rng(0).normal(size=(4, 3)) / 3
    targets = np.array([[0, 0, 0], [1, 0, 1], [0, 1, 0], [0, 0, 0]], bool)
    names = ["new\n/ü.png", "a,b.png", " spaced .png", "d.png"]
    sources: list[str] = ["validation", "cross-fitted", "training", "new"]
    return KeptScores(Scores(logits, targets, ["1", "", "ü", "1"]), names, sources)  # type: ignore[arg-type]


def test_scores_come_back_to_the_last_bit(kept: KeptScores, tmp_path: Path) -> None:
    write_scores(tmp_path, kept, CLASSES)
    found = read_scores(tmp_path, CLASSES)
    assert np.array_equal(found.scores.logits, kept.scores.logits)
    assert np.array_equal(found.scores.targets, kept.scores.targets)
    assert found.scores.groups == kept.scores.groups
    assert (found.names, found.sources) == (kept.names, kept.sources)


def test_a_run_without_scores_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"keeps no scores.*earlier versions.*relmask calibrate"):
        read_scores(tmp_path, CLASSES)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("validation", "somewhere"),
        ("d.png,,1,new", "d.png,,1"),
        ("logit_rost", "rost"),
        ("d.png,,1,new,", "d.png,,1,new,nan"),
        ("d.png,,1,new,", "d.png,,1,new,x"),
        ('a "" pit', "pit"),
        ("\nd.png", '\n"d.png'),
        ("name,", "\0name,"),
    ],
)
def test_damaged_scores_are_refused_with_what_to_do(
    kept: KeptScores, tmp_path: Path, before: str, after: str
) -> None:
    write_scores(tmp_path, kept, CLASSES)
    whole = (tmp_path / SCORES).read_text(encoding="utf-8")
    (tmp_path / SCORES).write_text(whole.replace(before.replace('a "" pit', 'a ""pit""'), after))
    with pytest.raises(RunError, match=r"scores\.csv cannot be used: it is damaged.*relmask calibrate"):
        read_scores(tmp_path, CLASSES)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\xfd", b"name,labels,group,source"])
def test_files_that_are_no_scores_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / SCORES).write_bytes(content)
    with pytest.raises(RunError, match="cannot be used"):
        read_scores(tmp_path, CLASSES)
