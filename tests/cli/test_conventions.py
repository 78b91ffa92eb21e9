"""What every command must keep to, whoever adds it."""

import inspect
import re
import shlex
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import pytest
import typer.main
from typer.testing import CliRunner

from relmask.cli import COMMANDS, app, options
from relmask.cli.description import Description
from relmask.cli.explain import COMPOSITES
from relmask.cli.train import Backbone
from relmask.lrp.composites import PRESETS, epsilon_gamma_box
from relmask.models.zoo import ZOO

Function = Callable[..., Any]

EVERY = [*chain.from_iterable(COMMANDS.values())]
SHELL: Any = typer.main.get_command(app)
SHARED = {
    "data": options.Data,
    "run": options.RunFolder,
    "inputs": options.Inputs,
    "clean": options.Clean,
    "split": options.Split,
    "resplit": options.Resplit,
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
    excused = set(WITHOUT.get(function.__name__, {}))
    assert wanted - set(has) == excused


@each_command
def test_out_is_spelt_alike(function: Function) -> None:
    for parameter in SHELL.commands[function.__name__].params:
        if parameter.name == "out":
            assert parameter.opts == ["--out", "-o"]


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
    assert set(get_args(Backbone)) == set(ZOO)
    assert set(COMPOSITES) == {*PRESETS, epsilon_gamma_box.__name__}
