"""The command line: arguments in, one call of the library, text or JSON and an exit code out.

A command is a plain function in the module of its name. None imports the library before it runs, so that
`--help` answers at once.
"""

import warnings
from typing import Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

import relmask
from relmask.cli.calibrate import calibrate
from relmask.cli.data import data
from relmask.cli.demo import demo
from relmask.cli.evaluate import evaluate
from relmask.cli.explain import explain
from relmask.cli.patches import patches
from relmask.cli.segment import segment
from relmask.cli.train import train
from relmask.errors import RelmaskError

COMMANDS = (demo, data, patches, train, segment, explain, calibrate, evaluate)
GO_ON = {
    "train": "The same command with --resume goes on where this one stopped.",
    "segment": "The same command goes on where this one stopped.",
}


class Shell(TyperGroup):
    """Turns what stops a command into a message on stderr and an exit code."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - types private to typer
        """Run the command."""
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                return super().invoke(ctx)
        except RelmaskError as error:
            typer.echo(f"relmask: {error}", err=True)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            hint = GO_ON.get(ctx.invoked_subcommand or "", "")
            typer.echo(f"relmask: interrupted. {hint}".rstrip(), err=True)
            raise typer.Exit(130) from error


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    typer.echo(f"relmask: warning: {message}", err=True)


app = typer.Typer(
    cls=Shell,
    name="relmask",
    help="Pixel masks from image-level labels.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in COMMANDS:
    app.command()(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"relmask {relmask.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line."""
    app()
