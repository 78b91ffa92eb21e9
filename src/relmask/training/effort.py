"""How much work a training does."""

from dataclasses import dataclass

from relmask.calibration.floors import EXPLAINED


@dataclass(frozen=True)
class Effort:
    """What makes a training long or short, but for its epochs. No command changes it; tests ask for little.

    Attributes:
        steps: batches in an epoch, whatever the number of pictures.
        explained: clean images, at most, that are explained to choose the floors of relevance.
        compared: training images, at most, that sizes of the input are compared on; 0: none is compared.
        checked: masks that a fresh run is checked by, see `relmask.check`; 0 for no check.
    """

    steps: int = 50
    explained: int = EXPLAINED
    compared: int = 400
    checked: int = 4


FULL = Effort()
"""Effort of every run that is not a test's."""
