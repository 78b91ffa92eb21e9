import csv
import json
import resource
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import relmask
from relmask.cli import COMMANDS, app
from relmask.cli.description import Description
from relmask.errors import ImageError, OutError, RunError, UsageError
from tests.jobs.fakes import FakeRun, picture


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


def test_relmask_alone_explains_itself() -> None:
    result = relmask_()
    assert result.exit_code == 0
    assert result.stdout == relmask_("--help").stdout
    assert "good and bad pictures into pixel masks" in result.stdout
    assert "relmask train parts/ -o run" in result.stdout
    words = " ".join(result.stdout.split())
    for title, commands in COMMANDS.items():
        assert f"{title}:" in result.stdout
        for command in commands:
            summary = Description.of(command).text.partition("\n\n")[0]
            assert f"{command.__name__} {summary}" in words


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


def test_what_cannot_be_parsed_is_a_usage_error_with_an_example() -> None:
    result = relmask_("segment")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Usage: relmask segment [OPTIONS] RUN INPUT...\n" in result.stderr
    assert "Example: relmask segment run new/ -o masks\n" in result.stderr
    assert "Error: Missing argument 'RUN'." in result.stderr


def test_a_misspelt_command_is_guessed() -> None:
    result = relmask_("segmnt")
    assert result.exit_code == 2
    assert "Did you mean 'segment'?" in result.stderr


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
    assert "same command continues" in result.stderr
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


def test_a_warning_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(path: Path, **options: object) -> None:
        warnings.warn("look out", stacklevel=2)
        raise RunError("no")

    monkeypatch.setattr(relmask, "load", load, raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        result = relmask_("segment", "run", "in", "-o", "out")
    assert result.stderr == "relmask: warning: look out\nrelmask: no\n"
