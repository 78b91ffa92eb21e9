"""The command line: arguments in, one call of the library, text or JSON and an exit code out.

A command is a plain function in the module of its name, listed in COMMANDS. None imports the library before
it runs, so that `--help` answers at once. Its docstring is its help (see `Description`), the options that
several commands have come from `options`, progress goes through `progress.shown`, and it ends with
`printing.show`, and `printing.finish` where inputs can fail. tests/cli/test_conventions.py holds every
command to this.
"""

from typing import Annotated

import typer

import relmask
from relmask.cli.allocation import keep_freed_memory
from relmask.cli.calibrate import calibrate
from relmask.cli.check import check
from relmask.cli.compare import compare
from relmask.cli.convert import convert
from relmask.cli.data import data
from relmask.cli.demo import demo
from relmask.cli.description import Description
from relmask.cli.distil import distil
from relmask.cli.evaluate import evaluate
from relmask.cli.explain import explain
from relmask.cli.patches import patches
from relmask.cli.segment import segment
from relmask.cli.serve import serve
from relmask.cli.shell import Command, Shell, stop_on_sigterm
from relmask.cli.train import train
from relmask.cli.weights import weights

COMMANDS = {
    "Start here": (demo, data),
    "Make masks": (train, segment, calibrate, distil),
    "Judge masks": (evaluate, compare, check, explain),
    "Use masks": (convert, serve),
    "Prepare": (patches, weights),
}
"""Every command, under the title of its group in the help."""

HELP = """\
relmask turns a folder of good and bad pictures into pixel masks. You sort pictures by class, like parts/ok
and parts/scratch, and draw no masks: relmask trains a classifier, explains each decision with Layer-wise
Relevance Propagation (LRP), and turns the relevance into masks.

\b
First steps:
  relmask demo                               try it on synthetic parts
  relmask data parts/                        survey a folder and find what is wrong in it
  relmask train parts/ -o run                train a classifier and choose its thresholds
  relmask segment run new/ -o masks          make a mask for every new picture
  relmask evaluate run parts/ -o evaluation  compare with true masks, where there are some
"""

EPILOG = """\
`relmask COMMAND --help` explains a command, with examples.

Results go to stdout, progress and errors to stderr. Exit codes: 0 all done; 1 finished, but some inputs
failed; 2 usage; 3 DATA, RUN or OUT cannot be used; 130 interrupted.
"""

app = typer.Typer(
    cls=Shell,
    name="relmask",
    help=HELP,
    epilog=EPILOG,
    invoke_without_command=True,
    rich_markup_mode=None,  # plain text: narrow, for screen readers and log files too
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for title, commands in COMMANDS.items():
    for command in commands:
        words = Description.of(command)
        app.command(cls=Command, help=words.text, epilog=words.epilog, rich_help_panel=title)(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"relmask {relmask.__version__}")
        raise typer.Exit


@app.callback()
def _explain_itself(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command line."""
    stop_on_sigterm()
    keep_freed_memory()
    app(prog_name="relmask")  # also for `python -m relmask`
