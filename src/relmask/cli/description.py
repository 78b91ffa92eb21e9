"""What the docstring of a command says of it: the help, the line after Ctrl-C, the examples."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from textwrap import dedent
from typing import Any, Self

_STOPPED, _EXAMPLES = "When stopped: ", "Example:\n"


@dataclass(frozen=True, slots=True)
class Description:
    """A command in words.

    The docstring of a command has a first line, perhaps more paragraphs, one that begins with "When stopped:"
    and says how to go on after Ctrl-C, and at the end a section "Example:" of whole command lines.

    Attributes:
        text: all paragraphs but the examples.
        stopped: sentence on how to go on after Ctrl-C; empty if the docstring does not say.
        examples: command lines, as a shell takes them.
    """

    text: str
    stopped: str
    examples: tuple[str, ...]

    @classmethod
    def of(cls, command: Callable[..., Any]) -> Self:
        """Read the docstring of a command."""
        text, _, examples = (inspect.getdoc(command) or "").partition(_EXAMPLES)
        paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
        stopped = next((part.removeprefix(_STOPPED) for part in paragraphs if part.startswith(_STOPPED)), "")
        lines = tuple(line for line in dedent(examples).splitlines() if line)
        return cls("\n\n".join(filter(None, paragraphs)), stopped[:1].upper() + stopped[1:], lines)

    @property
    def epilog(self) -> str:
        r"""The examples as help shows them, a line each; \b keeps them from being wrapped."""
        return "\n".join(["\b", "Examples:", *(f"  {line}" for line in self.examples)])
