"""What every command must keep to, whoever adds it."""

import inspect
import json
import re
import shlex
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import pytest
import typer.main
from typer.testing import CliRunner, Result

from relmask.cli import COMMANDS, app, options
from relmask.cli.description import Description
from relmask.cli.explain import COMPOSITES
from relmask.data import patches
from relmask.evaluation import results
from relmask.evaluation.comparison.compare import COMPARISON
from relmask.inference.run import Run
from relmask.jobs import explain, segment
from relmask.lrp.composites import PRESETS, epsilon_gamma_box
from relmask.models.zoo import ZOO
from relmask.out import Contents
from relmask.synthetic import surfaces
from relmask.training.folder import RUN

Function = Callable[..., Any]

EVERY = [*chain.from_iterable(COMMANDS.values())]
FUNCTIONS = {function.__name__: function for function in EVERY}
SHELL: Any = typer.main.get_command(app)
SHARED = {
    "data": options.Data,
    "run": options.RunFolder,
    "inputs": options.Inputs,
    "clean": options.Clean,
    "split": options.Split,
    "resplit": options.Resplit,
    "backbone": options.Backbone,
    "device": options.Device,
    "seed": options.Seed,
    "workers": options.Workers,
    "batch_size": options.BatchSize,
    "overwrite": options.Overwrite,
    "as_json": options.Json,
    "quiet": options.Quiet,
}
"""A parameter of this name is this option, so that it means the same and is spelt the same everywhere."""

WITHOUT: dict[str, dict[str, str]] = {
    "serve": {"as_json": "it prints its address and no result", "quiet": "it shows no progress"},
}
"""Command -> common option that it lacks -> why."""

CONTENTS: dict[str, Contents] = {
    "compare": COMPARISON,
    "demo": surfaces.CONTENTS,
    "distil": RUN,
    "evaluate": results.CONTENTS,
    "explain": explain.CONTENTS,
    "patches": patches.CONTENTS,
    "segment": segment.CONTENTS,
    "train": RUN,
}
"""What commands leave in OUT; `convert` and `check` keep books of their own."""
MORE = {
    "compare": ["--methods", "darkness"],
    "convert": ["--to", "png", "--classes", "a,b,c"],
    "patches": ["--size", "32"],
    "train": ["--backbone", "vgg-narrow"],
}

NO_THINGS = {
    "of",
    "for",
    "in",
    "from",
    "to",
    "that",
    "what",
    "which",
    "where",
    "how",
    "if",
    "default",
    "besides",
}
"""Words with which no help begins: what it says would be clear only after its end."""

each_command = pytest.mark.parametrize("function", EVERY, ids=lambda function: function.__name__)


def parameters(function: Function) -> dict[str, Any]:
    return {p.name: p.annotation for p in inspect.signature(function, eval_str=True).parameters.values()}


def command_lines(text: str) -> list[str]:
    """Lines of a page's code blocks that begin with `relmask `."""
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith("relmask ")]


def parse(line: str) -> None:
    """Parse a command line as the shell and relmask would, without running it; wrong ones exit or raise."""
    words = shlex.split(line, comments=True)
    if ">" in words:
        words = words[: words.index(">")]
    program, name, *arguments = words
    assert program == "relmask"
    SHELL.commands[name].make_context(name, arguments)


@each_command
def test_a_command_says_what_it_does_how_to_go_on_and_how_to_call_it(function: Function) -> None:
    words = Description.of(function)
    summary = words.text.partition("\n\n")[0]
    assert summary.endswith(".")
    assert len(summary) <= 110
    assert words.stopped.endswith("."), "say how to go on after Ctrl-C in a paragraph 'When stopped: ...'"
    assert words.examples, "end the docstring with a section 'Example:' of command lines"


@each_command
def test_the_examples_of_a_command_are_in_its_help_and_can_be_parsed(function: Function) -> None:
    name, words = function.__name__, Description.of(function)
    shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "80"}).stdout.splitlines()
    assert any(f"relmask {name}" in example for example in words.examples)
    for example in words.examples:
        assert f"    {example}" in shown
        parse(example)


@each_command
def test_every_argument_and_option_of_a_command_is_explained(function: Function) -> None:
    for parameter in SHELL.commands[function.__name__].params:
        assert parameter.help, f"{parameter.name} has no help"
        assert parameter.help.endswith("."), f"the help of {parameter.name} is no sentence"


@each_command
def test_the_help_of_an_option_begins_with_the_thing_that_it_is(function: Function) -> None:
    for parameter in SHELL.commands[function.__name__].params:
        first = parameter.help.split()[0].strip(",.:").lower()
        assert first not in NO_THINGS, f"{parameter.name}: {parameter.help}"


@each_command
def test_options_that_several_commands_have_are_the_shared_ones(function: Function) -> None:
    for name, annotation in parameters(function).items():
        if name in SHARED:
            assert annotation == SHARED[name], f"{name}: take it from relmask.cli.options"


@each_command
def test_a_command_has_the_common_options_that_its_work_asks_for(function: Function) -> None:
    has = parameters(function)
    wanted = {"as_json", "quiet"}
    if "run" in has:
        wanted |= {"device", "batch_size"}
    if "out" in has:
        wanted |= {"overwrite"}
    excused = set(WITHOUT.get(function.__name__, {}))
    assert wanted - set(has) == excused


@each_command
def test_out_is_spelt_alike(function: Function) -> None:
    for parameter in SHELL.commands[function.__name__].params:
        if parameter.name == "out":
            assert parameter.opts == ["--out", "-o"]


@each_command
def test_relmask_itself_says_what_cannot_be_read(function: Function) -> None:
    for name, annotation in parameters(function).items():
        kind, *described = get_args(annotation)
        if Path in (kind, *get_args(kind)):
            assert not described[0].readable, f"{name}: add readable=False"


each_with_out = pytest.mark.parametrize(
    "name", [function.__name__ for function in EVERY if "out" in parameters(function)]
)


def place_of(name: str, out: Path) -> Path:
    """Where a command with this OUT leaves the first of its files."""
    match name:
        case "check":
            return out
        case "convert":
            return out / "masks" / "a.png"
        case "demo":
            return out / "data" / "index.csv"
    return out / CONTENTS[name].files[0].replace("**/*", "a")


def call(name: str, run: Run, parts: Path, out: Path, *more: str) -> Result:
    given = {"demo": [], "convert": [parts / "masks"]}.get(
        name, [run.path, parts] if "run" in parameters(FUNCTIONS[name]) else [parts]
    )
    words = [name, *given, "-o", out, "-q", *MORE.get(name, ()), *more]
    return CliRunner().invoke(app, [str(word) for word in words])


@each_with_out
def test_results_of_other_settings_are_refused_and_stay(
    name: str, trained: Run, parts: Path, tmp_path: Path
) -> None:
    theirs = place_of(name, tmp_path / "out")
    theirs.parent.mkdir(parents=True, exist_ok=True)
    theirs.write_text("older")
    if name == "check":
        judged = {"passed": True, "verdict": "", "labelled": 0, "seconds": 0}
        lists: dict[str, list[str]] = {
            key: [] for key in ("findings", "cascade", "deletion", "conserved", "pictures")
        }
        theirs.write_text(json.dumps({**judged, **lists}))
    elif name == "convert":
        stamps = {"a.png": [5, theirs.stat().st_mtime_ns]}
        (theirs.parent / ".relmask.json").write_text(json.dumps({"settings": {"a": 1}, "files": stamps}))
    else:
        folder = tmp_path / ("out/data" if name == "demo" else "out")
        (folder / CONTENTS[name].settings).write_text('{"a": 1}')
    before = theirs.read_text()
    result = call(name, trained, parts, tmp_path / "out")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "other settings" in result.stderr or name == "check"
    assert "--overwrite" in result.stderr
    assert theirs.read_text() == before


@each_with_out
def test_files_of_somebody_else_are_refused_and_stay_even_if_asked_to_overwrite(
    name: str, trained: Run, parts: Path, tmp_path: Path
) -> None:
    theirs = place_of(name, tmp_path / "out")
    theirs.parent.mkdir(parents=True, exist_ok=True)
    theirs.write_text("theirs")
    result = call(name, trained, parts, tmp_path / "out", "--overwrite")
    assert (result.exit_code, result.stdout) == (3, "")
    assert theirs.read_text() == "theirs"
    assert [path.name for path in theirs.parent.iterdir()] == [theirs.name]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs"])
def test_the_command_lines_of_the_pages_can_be_parsed(page: str) -> None:
    place = Path(__file__).parents[2] / page
    files = sorted(place.rglob("*.md")) if place.is_dir() else [place]
    for line in command_lines("\n".join(file.read_text(encoding="utf-8") for file in files)):
        parse(line)


def test_the_readme_has_command_lines_to_check() -> None:
    page = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert len(command_lines(page)) >= 4


def test_choices_are_those_of_the_library() -> None:
    assert set(options.BACKBONES) == set(ZOO)
    assert set(COMPOSITES) == {*PRESETS, epsilon_gamma_box.__name__}
