"""Where relevance gets lost, instruction by instruction."""

from collections.abc import Sequence
from dataclasses import dataclass

ENOUGH = 5e-4


@dataclass(frozen=True)
class LedgerEntry:
    """What one instruction did on the way back.

    Args:
        layer: path of the module.
        operator: ATen's name.
        rule: the composite's choice, "" where there is none to choose.
        arrived: share of the start that arrived at its output.
        passed: share of the start that it passed to its inputs.
    """

    layer: str
    operator: str
    rule: str
    arrived: float
    passed: float

    @property
    def lost(self) -> float:
        """What it kept: its bias, its epsilon; negative where it invented relevance."""
        return self.arrived - self.passed

    @property
    def cells(self) -> tuple[str, ...]:
        """A row of a table."""
        shares = map(percent, (self.arrived, self.passed, self.lost))
        return (self.layer, self.operator, self.rule, *shares)


@dataclass(frozen=True)
class Ledger:
    """What became of the relevance that some images started with.

    Args:
        entries: of every instruction that relevance reached, the first layer first. What they lost sums to
            1 - conserved.
        conserved: share of the start that arrived at the images; not a number where the start sums to 0.
    """

    entries: tuple[LedgerEntry, ...]
    conserved: float

    def __str__(self) -> str:
        """A table of the instructions that have a rule or lost something."""
        told = [entry for entry in self.entries if entry.rule or abs(entry.lost) >= ENOUGH]
        rows = [entry.cells for entry in told]
        total = ("all", "", "", percent(1.0), percent(self.conserved), percent(1 - self.conserved))
        return aligned(("layer", "operator", "rule", "arrived", "passed", "lost"), [*rows, total])


def percent(share: float) -> str:
    """A share for a table."""
    return f"{100 * share:.1f} %"


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in plain text."""
    table = (header, *rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    padded = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in table)
    return "\n".join("  ".join(row).rstrip() for row in padded)
