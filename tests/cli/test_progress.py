import io
import sys
import time
from itertools import pairwise

import pytest

from relmask.cli.progress import MOST, Lines, bars, shown


def test_lines_tell_start_and_end_and_little_between() -> None:
    stream = io.StringIO()
    lines = Lines(stream, seconds=3600)
    for done in range(0, 101):
        lines("segment", done, 100, note="fine" if done == 100 else "")
    lines("other", 3, 3)
    lines("other", 1, 7)
    first, last, other, again = stream.getvalue().splitlines()
    assert first == "segment 0/100"
    assert last.startswith("segment 100/100, ")
    assert last.endswith("/s, fine")
    assert (other, again) == ("other 3/3", "other 1/7")


def test_lines_tell_rate_and_time_left() -> None:
    stream = io.StringIO()
    lines = Lines(stream, seconds=0)
    lines("segment", 50, 100)
    time.sleep(0.01)
    lines("segment", 60, 100)
    assert stream.getvalue().splitlines()[1].startswith("segment 60/100, ")
    assert stream.getvalue().endswith(" s left\n")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_day_of_work_is_a_few_hundred_lines(clock: list[float]) -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    told: list[float] = []
    for second in range(24 * 3600 + 1):
        clock[0] = 1000.0 + second
        before = stream.tell()
        lines("train", second, 24 * 3600)
        if stream.tell() > before:
            told.append(second)
    pauses = [b - a for a, b in pairwise(told)]
    assert pauses[0] == 10
    assert max(pauses) == MOST
    assert len(told) < 400
    assert stream.getvalue().splitlines()[1] == "train 10/86400, 1/s, 24.0 h left"


def test_bars_show_every_task(capsys: pytest.CaptureFixture[str]) -> None:
    with bars() as progress:
        for done in range(4):
            progress("segment", done, 3, "fine")
        progress("other", 1, 7)
    shown = capsys.readouterr().err
    assert "segment" in shown
    assert "3/3" in shown
    assert "1/7" in shown


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("term", [None, "dumb", "unknown"])
def test_a_terminal_without_control_codes_gets_lines(
    term: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.delenv("TERM", raising=False)
    if term:
        monkeypatch.setenv("TERM", term)
    with shown() as told:
        told("segment", 3, 3)
    assert terminal.getvalue() == "segment 3/3\n"
