"""What the command line does around a command: help, errors, warnings, interruption."""

import signal
import warnings
from types import FrameType
from typing import Any, TextIO

import typer
from typer.core import TyperCommand, TyperGroup

from relmask.cli.description import Description
from relmask.errors import RelmaskError

INTERRUPTED, TERMINATED = 130, 143  # 128 + the number of the signal, as shells have it


class Command(TyperCommand):
    """A command whose usage errors show an example."""

    @property
    def description(self) -> Description:
        """What its docstring says."""
        assert self.callback is not None, "every command is a function"
        return Description.of(self.callback)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401 - types private to typer
        """Names of options and arguments, without typer's braces."""
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]

    def get_usage(self, ctx: Any) -> str:  # noqa: ANN401 - types private to typer
        """Usage and an example; shown above an error."""
        return "\n".join([super().get_usage(ctx), *(f"Example: {x}" for x in self.description.examples[:1])])


class Terminated(KeyboardInterrupt):
    """Asked to stop by SIGTERM, as schedulers and containers do; files are left as after Ctrl-C."""


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
        except BrokenPipeError:  # `| head` has read enough
            raise
        except OSError as error:  # of a place that no part of relmask expected to fail
            place = error.filename or "a file"
            typer.echo(f"relmask: Cannot use {place}: {error.strerror or error}.", err=True)
            raise typer.Exit(RelmaskError.exit_code) from error
        except KeyboardInterrupt as error:
            command = self.commands.get(ctx.invoked_subcommand or "")
            hint = command.description.stopped if isinstance(command, Command) else ""
            typer.echo(f"relmask: interrupted. {hint}".rstrip(), err=True)
            raise typer.Exit(TERMINATED if isinstance(error, Terminated) else INTERRUPTED) from error

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - types private to typer
        """List the commands under the titles of their groups, each with the first line of its docstring."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            summary = (command.help or "").partition("\n\n")[0]
            panels.setdefault(getattr(command, "rich_help_panel", None) or "Commands", []).append(
                (name, summary)
            )
        widest = max(len(name) for name in self.commands)
        for panel, rows in panels.items():
            with formatter.section(panel):
                formatter.write_dl([(name.ljust(widest), summary) for name, summary in rows])


def stop_on_sigterm() -> None:
    """Let SIGTERM stop a command as Ctrl-C does."""
    signal.signal(signal.SIGTERM, _terminate)


def _terminate(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one does not wait
    raise Terminated


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    typer.echo(f"relmask: warning: {message}", err=True)
