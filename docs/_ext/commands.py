"""The directive `commands`: every command of relmask with its options, from the command line itself."""

import re
from collections.abc import Iterator
from typing import Any

import typer.main
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from relmask.cli import COMMANDS, app
from relmask.cli.description import Description

SHELL: Any = typer.main.get_command(app)


class Commands(SphinxDirective):
    """A section for each group of commands, with a section for each command."""

    def run(self) -> list[nodes.Node]:
        """Make the sections."""
        text = "\n".join(line for title in COMMANDS for line in _group(title))
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive."""
    app.add_directive("commands", Commands)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _group(title: str) -> Iterator[str]:
    yield from (f"## {title}", "")
    for function in COMMANDS[title]:
        name, words = function.__name__, Description.of(function)
        command = SHELL.commands[name]
        context = command.make_context(name, [], resilient_parsing=True)
        yield from (f"### relmask {name}", "", words.text, "")
        usage = " ".join(command.collect_usage_pieces(context))
        yield from ("```text", f"relmask {name} {usage}", "```", "")
        for parameter in command.params:
            spelling, meaning = parameter.get_help_record(context)
            yield from (f"`{spelling}`", f": {_plain(meaning)}", "")
        yield from ("Examples:", "", "```sh", *words.examples, "```", "")


def _plain(text: str) -> str:
    """The text without what Markdown would take for markup."""
    return re.sub(r"([\[\]*_<>|])", r"\\\1", text)
