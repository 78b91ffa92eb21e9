"""The compiled graph: one walk forwards that keeps what the way back needs, one walk back."""

import math
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from relmask.lrp.analysis import Analysis
from relmask.lrp.composites import Composite
from relmask.lrp.graph import Captured
from relmask.lrp.instructions import ApplyLayer, Instruction, Tape
from relmask.lrp.ledger import Ledger, LedgerEntry
from relmask.lrp.lowering import choose_rules, instructions, table_rows

CACHE = 16 * 2**20
"""Bytes of the largest tensor for which explaining was fastest on CPUs with a last cache of 32 MiB."""


class Program(nn.Module):
    """A captured graph with a composite's rules, for images that the graph fits.

    Args:
        captured: the model.
        composite: rules for its layers.

    Raises:
        UnsupportedOperator, UnsupportedModel, UsageError: see `lowering.choose_rules`.
    """

    like: Tensor

    def __init__(self, captured: Captured, composite: Composite) -> None:
        super().__init__()
        analysis = Analysis(captured)
        rules = choose_rules(analysis, composite)
        self.instructions = instructions(analysis, rules)
        self.rows = table_rows(analysis, rules)
        self.outputs = {
            name: node.name for name, node in captured.outputs.items() if node in analysis.reached
        }
        self.layers = nn.ModuleList(one for one in self.instructions if isinstance(one, ApplyLayer))
        self.fits, self.widest = captured.fits, captured.widest
        self.image, self.logits = captured.image.name, captured.logits.name
        value = captured.image.meta["val"]
        # Without elements: says of which type and on which device images must be, wherever `.to()` moves it.
        self.register_buffer("like", torch.empty(0, dtype=value.dtype, device=value.device), persistent=False)
        read = {name for instruction in self.instructions for name in instruction.reads}
        constants = {node.name: value for node, value in captured.constants.items() if node.name in read}
        self.constants = tuple(constants)
        for name, value in constants.items():
            self.register_buffer(f"constant_{name}", value, persistent=False)
        self.finished_forward, self.finished_back = _last_uses(self.instructions)

    @property
    def table(self) -> tuple[tuple[str, str, str], ...]:
        """(layer, operator, rule) of every instruction that has a rule."""
        return tuple(row for row in self.rows.values() if row[2])

    def pieces(self, images: Tensor) -> tuple[Tensor, ...]:
        """The images, on a CPU so few at once that the largest tensor stays in its cache."""
        size = math.prod(images.shape[1:]) * images.element_size() * self.widest
        count = max(math.ceil(len(images) * size / CACHE), 1)
        some = images.chunk(count) if images.device.type == "cpu" else ()
        return some if some and all(map(self.fits, some)) else (images,)

    def forward(self, images: Tensor) -> tuple[Tensor, Tape]:
        """Logits (N, K), and what the way back needs."""
        tape = Tape({name: getattr(self, f"constant_{name}") for name in self.constants})
        tape.write(self.image, images)
        for instruction in self.instructions:
            tape.write(instruction.name, instruction.run(tape))
            for name in self.finished_forward.get(instruction.name, ()):
                del tape.values[name]
        return tape.values[self.logits], tape

    def back(self, tape: Tape, start: Tensor) -> Tensor:
        """Relevance of the images, given that of the logits. Uses up the tape."""
        relevance: dict[str, Any] = {self.logits: start}
        for instruction in reversed(self.instructions):
            self._pass(instruction, tape, relevance)
        arrived: Tensor = relevance[self.image]
        return arrived

    def inner(self, tape: Tape, start: Tensor, names: Collection[str]) -> dict[str, Tensor]:
        """Relevance at the outputs of modules; it is followed no further than to the last of them."""
        relevance: dict[str, Any] = {self.logits: start}
        wanted = {self.outputs[name] for name in names}
        found: dict[str, Tensor] = {}
        for instruction in reversed(self.instructions):
            if instruction.name in wanted:
                found[instruction.name] = relevance[instruction.name]
            if len(found) == len(wanted):
                break
            self._pass(instruction, tape, relevance)
        return {name: found[self.outputs[name]] for name in names}

    def ledger(self, tape: Tape, start: Tensor, stop: str | None = None) -> Ledger:
        """What every instruction kept of the relevance that arrived, down to the output of a module."""
        relevance: dict[str, Any] = {self.logits: start}
        whole, entries = float(start.sum()) or math.nan, list[LedgerEntry]()
        end = self.image if stop is None else self.outputs[stop]
        for instruction in reversed(self.instructions):
            if instruction.name == end:
                break
            arrived = _sum(relevance.get(instruction.name)) / whole
            reached, before = instruction.name in relevance, sum(map(_sum, relevance.values()))
            self._pass(instruction, tape, relevance)
            if reached:
                passed = arrived + (sum(map(_sum, relevance.values())) - before) / whole
                entries.append(LedgerEntry(*self.rows[instruction.name], arrived, passed))
        return Ledger(tuple(reversed(entries)), _sum(relevance[end]) / whole)

    def _pass(self, instruction: Instruction, tape: Tape, relevance: dict[str, Any]) -> None:
        """Let an instruction pass on what arrived, if something did, and drop values after their last use."""
        if instruction.name in relevance:
            for source, part in instruction.back(tape, relevance.pop(instruction.name)):
                relevance[source] = _added(relevance.get(source), part)
        for name in self.finished_back.get(instruction.name, ()):
            del tape.values[name]


def _sum(relevance: Any) -> float:  # noqa: ANN401 - a tensor, one per output of a node, or nothing
    if isinstance(relevance, dict):
        return sum(map(_sum, relevance.values()))
    return 0.0 if relevance is None else float(relevance.sum(dtype=torch.float64))


def _added(known: Any, part: Any) -> Any:  # noqa: ANN401 - a tensor, or one per output of a node
    if known is None:
        return part
    if isinstance(part, dict):
        return known | {index: _added(known.get(index), value) for index, value in part.items()}
    return known + part


def _last_uses(instructions: Sequence[Instruction]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Tensors that nobody needs once an instruction ran forwards, and once relevance passed it."""
    last_read = {name: instruction.name for instruction in instructions for name in instruction.reads}
    last_recall = {
        name: instruction.name for instruction in reversed(instructions) for name in instruction.recalls
    }
    forward: dict[str, list[str]] = {}
    back: dict[str, list[str]] = {}
    for name in {instruction.name for instruction in instructions}.intersection(last_read):
        if name in last_recall:
            back.setdefault(last_recall[name], []).append(name)
        else:
            forward.setdefault(last_read[name], []).append(name)
    return forward, back
