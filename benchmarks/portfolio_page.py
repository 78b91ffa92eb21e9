"""docs/portfolio.md, from the figures that are kept in docs/experiments/portfolio.jsonl."""

from collections.abc import Sequence
from typing import Any


def update_page(figures: Sequence[dict[str, Any]]) -> None:
    raise SystemExit("not yet")
