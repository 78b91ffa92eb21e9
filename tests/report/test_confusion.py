import re
from dataclasses import dataclass, field

from relmask.report import confusion, histogram


@dataclass
class Item:
    labels: frozenset[str]
    called: bool
    score: float = 0.5
    scores: dict[str, float] = field(default_factory=lambda: {"crack": 0.2, "pit": 0.7})


def test_a_confusion_counts_every_label_of_a_picture_against_what_was_said() -> None:
    pictures = [
        Item(frozenset({"crack", "pit"}), True),
        Item(frozenset({"crack"}), False),
        Item(frozenset(), False),
        Item(frozenset(), True, scores={"crack": 0.9, "pit": 0.1}),
    ]
    html = confusion(pictures, ("crack", "pit")).html
    rows = {
        name: [int(cell) for cell in re.findall(r"<td [^>]*>(\d+)</td>", cells)]
        for name, cells in re.findall(r'<tr><th scope="row">(\w+)</th>(.*?)</tr>', html)
    }
    assert rows == {"crack": [0, 1, 1], "pit": [0, 1, 0], "clean": [1, 0, 1]}
    assert "several labels" in html


def test_a_histogram_tells_clean_from_defective_and_shows_the_gate() -> None:
    svg = histogram([Item(frozenset(), False, 0.1), Item(frozenset({"pit"}), True, 0.9)], gate=0.6)
    assert ">clean</text>" in svg
    assert ">defective</text>" in svg
    assert ">gate</text>" in svg
    assert "gate" not in histogram([Item(frozenset(), False, 0.1)])
