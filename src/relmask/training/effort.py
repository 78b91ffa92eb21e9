"""How much work a training does."""

from dataclasses import dataclass

from relmask.calibration.explanations import EXPLAINED


@dataclass(frozen=True)
class Effort:
    """What makes a training long or short, but for its epochs. No command changes it; tests ask for little.

    Attributes:
        steps: batches in an epoch, whatever the number of pictures.
        explained: images of a class, at most, that are explained to choose the level of its masks.
        checked: masks that a fresh run is checked by, see `relmask.check`; 0 for no check.
    """

    steps: int = 50
    explained: int = EXPLAINED
    checked: int = 4


FULL = Effort()
"""Effort of every run that is not a test's."""
