"""What docstrings need to become pages: records tell their fields, and code that is just indented is code."""

import re
from typing import Any

from pydantic import BaseModel
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata


def setup(app: Sphinx) -> ExtensionMetadata:
    """Listen to autodoc, before napoleon does."""
    app.connect("autodoc-process-docstring", _complete, priority=400)
    app.connect("autodoc-process-signature", _shortened)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _complete(app: Sphinx, kind: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:  # noqa: ANN401
    if kind == "module":
        text = "\n".join(lines)
        lines[:] = re.sub(
            r"(?m)^(?=\S)(.*)\n\n(?=    )", r"\1\n\n.. code-block:: python\n\n", text
        ).splitlines()
    elif _is_record(thing):
        lines += ["", "Attributes:"]
        for field, info in thing.model_fields.items():
            default = "" if info.is_required() else f" Default: `{info.default}`."
            lines.append(f"    {field}: {info.description or ''}{default}")
        lines.append("")


def _shortened(app: Sphinx, kind: str, name: str, thing: Any, *rest: Any) -> tuple[str, str] | None:  # noqa: ANN401
    return ("", "") if _is_record(thing) else None


def _is_record(thing: Any) -> bool:  # noqa: ANN401
    return isinstance(thing, type) and issubclass(thing, BaseModel)
