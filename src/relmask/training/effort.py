"""How much work a training does."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """What makes a training long or short, but for its epochs. No command changes it; tests ask for little.

    Attributes:
        steps: batches in an epoch, whatever the number of pictures.
        checked: masks that a fresh run is checked by, see `relmask.check`; 0 for no check.
    """

    steps: int = 50
    checked: int = 4


FULL = Effort()
"""Effort of every run that is not a test's."""
