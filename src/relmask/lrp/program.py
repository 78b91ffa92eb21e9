"""The compiled graph: one walk forwards that keeps what the way back needs, one walk back."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from relmask.lrp.composites import Composite
from relmask.lrp.facts import Facts
from relmask.lrp.graph import Captured
from relmask.lrp.plan import plan
from relmask.lrp.steps import Apply, Instruction, Tape


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
        chosen = plan(Facts(captured), composite)
        self.steps, self.table = chosen.steps, chosen.table
        self.layers = nn.ModuleList(step for step in chosen.steps if isinstance(step, Apply))
        self.fit = captured.fit
        self.image, self.logits = captured.image.name, captured.logits.name
        read = {name for step in chosen.steps for name in step.reads}
        constants = {node.name: value for node, value in captured.constants.items() if node.name in read}
        self.constants = tuple(constants)
        for name, value in constants.items():
            self.register_buffer(f"constant_{name}", value, persistent=False)
        self.finished_forward, self.finished_back = _last_uses(self.steps)

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
            if step.name in relevance:
                for source, part in step.back(tape, relevance.pop(step.name)):
                    relevance[source] = _added(relevance.get(source), part)
            for name in self.finished_back.get(step.name, ()):
                del tape.values[name]
        arrived: Tensor = relevance[self.image]
        return arrived


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
