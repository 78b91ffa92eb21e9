"""The code in docs runs as it stands there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from relmask.lrp.operators import OPERATORS

DOCS = Path(__file__).parents[1] / "docs"
TESTED = sorted(path for path in DOCS.rglob("*.md") if "```python\n" in path.read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def _unregistered() -> Iterator[None]:
    """What a page registers is gone afterwards."""
    known = dict(OPERATORS)
    yield
    OPERATORS.clear()
    OPERATORS.update(known)


@pytest.mark.parametrize("page", TESTED, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_the_code_of_a_page_runs(page: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile("\n".join(blocks), str(page), "exec"), {"__name__": "page"})
