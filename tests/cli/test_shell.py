import csv
import io
import json
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import relmask
from relmask.cli import COMMANDS, app
from relmask.cli.progress import Lines, bars
from relmask.errors import ImageError, OutError, RunError, UsageError
from tests.inspection.fakes import FakeRun, picture


def relmask_(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeRun:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "relmask.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    fake = FakeRun(folder)
    monkeypatch.setattr(relmask, "load", lambda path, **options: fake, raising=False)
    return fake


def test_help_lists_every_command_with_a_line() -> None:
    result = relmask_("--help")
    assert result.exit_code == 0
    for command in COMMANDS:
        assert command.__name__ in result.stdout
        assert command.__doc__
        assert command.__doc__.split()[0] in result.stdout


def test_help_needs_no_heavy_library_and_is_instant() -> None:
    heavy = "{'torch', 'numpy', 'scipy', 'skimage', 'PIL', 'pydantic', 'tifffile'}"
    code = f"import sys, relmask.cli; assert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    costs = []
    for _ in range(3):  # processor time, since a busy machine says nothing about relmask
        begin = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "relmask", "--help"], check=True, capture_output=True)
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        costs.append(end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime)
    assert min(costs) < 0.5


def test_the_version_is_told() -> None:
    assert relmask_("--version").stdout == f"relmask {relmask.__version__}\n"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_every_option_is_explained(command: object) -> None:
    name = command.__name__  # type: ignore[attr-defined]
    group = typer_command(name)
    for parameter in group.params:
        assert getattr(parameter, "help", None), f"{name} {parameter.name} has no help"


def typer_command(name: str):  # type: ignore[no-untyped-def]  # noqa: ANN201 - a private class of typer's
    import typer.main

    return typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]


def test_arguments_that_are_missing_are_a_usage_error() -> None:
    assert relmask_("segment").exit_code == 2
    assert relmask_("no-such-command").exit_code == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [(UsageError("no"), 2), (RunError("no"), 3), (OutError("no"), 3), (ImageError("no"), 1)],
)
def test_an_error_is_a_message_and_its_exit_code(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(path: Path, **options: object) -> None:
        raise error

    monkeypatch.setattr(relmask, "load", load, raising=False)
    result = relmask_("segment", "run", "in", "-o", "out")
    assert result.exit_code == code
    assert result.stderr == "relmask: no\n"
    assert result.stdout == ""


def test_ctrl_c_says_how_to_go_on_and_leaves_the_table(run: FakeRun, tmp_path: Path) -> None:
    for index in range(4):
        picture(tmp_path / f"in/{index}.png", pit=True)

    def stop(seen: int) -> None:
        if seen == 2:
            raise KeyboardInterrupt

    run.segmenter.before = stop
    arguments = ("segment", "run", tmp_path / "in", "-o", tmp_path / "out", "--batch-size", "1", "-q")
    result = relmask_(*arguments)
    assert result.exit_code == 130
    assert "same command goes on" in result.stderr
    with (tmp_path / "out/results.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 2
    run.segmenter.before = lambda seen: None
    assert relmask_(*arguments).exit_code == 0


def test_segment_prints_a_summary_and_lists_what_failed(run: FakeRun, tmp_path: Path) -> None:
    picture(tmp_path / "in/a.png", pit=True)
    (tmp_path / "in/b.png").touch()
    result = relmask_("segment", "run", tmp_path / "in", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stdout.startswith("2 pictures: 1 defect, 0 clean, 1 failed\n")
    assert "b.png" in result.stderr


def test_segment_prints_json(run: FakeRun, tmp_path: Path) -> None:
    picture(tmp_path / "in/a.png", pit=True)
    result = relmask_("segment", "run", tmp_path / "in", "-o", tmp_path / "out", "--json")
    assert result.exit_code == 0
    outcome = json.loads(result.stdout)
    assert (outcome["images"], outcome["defect"], outcome["out"]) == (1, 1, str(tmp_path / "out"))


def test_segment_finds_files_by_several_inputs(run: FakeRun, tmp_path: Path) -> None:
    picture(tmp_path / "a/1.png")
    picture(tmp_path / "b/1.png")
    assert (
        relmask_("segment", "run", tmp_path / "a", tmp_path / "b", "-o", tmp_path / "out", "-q").exit_code
        == 0
    )
    assert (tmp_path / "out/masks/a/1.png").exists()
    assert (tmp_path / "out/masks/b/1.png").exists()


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


def test_a_warning_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(path: Path, **options: object) -> None:
        warnings.warn("look out", stacklevel=2)
        raise RunError("no")

    monkeypatch.setattr(relmask, "load", load, raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        result = relmask_("segment", "run", "in", "-o", "out")
    assert result.stderr == "relmask: warning: look out\nrelmask: no\n"


def test_bars_show_every_task(capsys: pytest.CaptureFixture[str]) -> None:
    with bars() as progress:
        for done in range(4):
            progress("segment", done, 3, "fine")
        progress("other", 1, 7)
    shown = capsys.readouterr().err
    assert "segment" in shown
    assert "3/3" in shown
    assert "1/7" in shown
