"""The compiled graph: one walk forwards that keeps what the way back needs, one walk back."""

import math
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from relmask.lrp.analysis import Facts
from relmask.lrp.composites import Composite
from relmask.lrp.graph import Captured
from relmask.lrp.instructions import Apply, Instruction, Tape
from relmask.lrp.ledger import Entry, Ledger
from relmask.lrp.lowering import plan

CACHE = 16 * 2**20
"""Bytes of the largest tensor for which explaining was fastest on CPUs with a last cache of 32 MiB."""


class Program(nn.Module):
    """A captured graph with a composite's rules, for images that the graph fits.

    Args:
        captured: the model.
        composite: rules for its layers.

    Raises:
        UnsupportedOperator, UnsupportedModel, UsageError: see `plan`.
    """

    def __init__(self, captured: Captured, composite: Composite) -> None:
        super().__init__()
        facts = Facts(captured)
        chosen = plan(facts, composite)
        self.steps, self.known = chosen.steps, chosen.known
        self.outputs = {name: node.name for name, node in captured.outputs.items() if node in facts.reached}
        self.layers = nn.ModuleList(step for step in chosen.steps if isinstance(step, Apply))
        self.fit, self.widest = captured.fit, captured.widest
        self.image, self.logits = captured.image.name, captured.logits.name
        read = {name for step in chosen.steps for name in step.reads}
        constants = {node.name: value for node, value in captured.constants.items() if node.name in read}
        self.constants = tuple(constants)
        for name, value in constants.items():
            self.register_buffer(f"constant_{name}", value, persistent=False)
        self.finished_forward, self.finished_back = _last_uses(self.steps)

    @property
    def table(self) -> tuple[tuple[str, str, str], ...]:
        """(layer, operator, rule) of every step that has a rule."""
        return tuple(row for row in self.known.values() if row[2])

    def pieces(self, images: Tensor) -> tuple[Tensor, ...]:
        """The images, on a CPU so few at once that the largest tensor stays in its cache."""
        size = math.prod(images.shape[1:]) * images.element_size() * self.widest
        count = max(math.ceil(len(images) * size / CACHE), 1)
        some = images.chunk(count) if images.device.type == "cpu" else ()
        return some if some and all(map(self.fit, some)) else (images,)

    def forward(self, images: Tensor) -> tuple[Tensor, Tape]:
        """Logits (N, K), and what the way back needs."""
        tape = Tape({name: getattr(self, f"constant_{name}") for name in self.constants})
        tape.write(self.image, images)
        for step in self.steps:
            tape.write(step.name, step.run(tape))
            for name in self.finished_forward.get(step.name, ()):
                del tape.values[name]
        return tape.values[self.logits], tape

    def back(self, tape: Tape, start: Tensor) -> Tensor:
        """Relevance of the images, given that of the logits. Uses up the tape."""
        relevance: dict[str, Any] = {self.logits: start}
        for step in reversed(self.steps):
            self._pass(step, tape, relevance)
        arrived: Tensor = relevance[self.image]
        return arrived

    def inner(self, tape: Tape, start: Tensor, names: Collection[str]) -> dict[str, Tensor]:
        """Relevance at the outputs of modules; it is followed no further than to the last of them."""
        relevance: dict[str, Any] = {self.logits: start}
        wanted = {self.outputs[name] for name in names}
        found: dict[str, Tensor] = {}
        for step in reversed(self.steps):
            if step.name in wanted:
                found[step.name] = relevance[step.name]
            if len(found) == len(wanted):
                break
            self._pass(step, tape, relevance)
        return {name: found[self.outputs[name]] for name in names}

    def ledger(self, tape: Tape, start: Tensor) -> Ledger:
        """What every step kept of the relevance that arrived."""
        relevance: dict[str, Any] = {self.logits: start}
        whole, entries = float(start.sum()) or math.nan, list[Entry]()
        for step in reversed(self.steps):
            arrived = _sum(relevance.get(step.name)) / whole
            reached, before = step.name in relevance, sum(map(_sum, relevance.values()))
            self._pass(step, tape, relevance)
            if reached:
                passed = arrived + (sum(map(_sum, relevance.values())) - before) / whole
                entries.append(Entry(*self.known[step.name], arrived, passed))
        return Ledger(tuple(reversed(entries)), _sum(relevance[self.image]) / whole)

    def _pass(self, step: Instruction, tape: Tape, relevance: dict[str, Any]) -> None:
        """Let a step pass on what arrived at it, if something did, and let go what is needed no more."""
        if step.name in relevance:
            for source, part in step.back(tape, relevance.pop(step.name)):
                relevance[source] = _added(relevance.get(source), part)
        for name in self.finished_back.get(step.name, ()):
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


def _last_uses(steps: Sequence[Instruction]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Tensors that nobody needs once a step ran forwards, and once relevance passed it."""
    last_read = {name: step.name for step in steps for name in step.reads}
    last_recall = {name: step.name for step in reversed(steps) for name in step.recalls}
    forward: dict[str, list[str]] = {}
    back: dict[str, list[str]] = {}
    for name in {step.name for step in steps}.intersection(last_read):
        if name in last_recall:
            back.setdefault(last_recall[name], []).append(name)
        else:
            forward.setdefault(last_read[name], []).append(name)
    return forward, back
