"""Is a mask evidence? Takes a run and labelled pictures, no true masks; gives a verdict.

`check` judges a run, or any function from a picture to a mask. `subjects` is what is judged, `redrawn` a
model without what its last layers learned. `randomisation`, `deletion` and `explanation` are the tests, each
with its findings; `verdict` is what check.json holds.
"""

from relmask.checks.check import check, check_samples, chosen
from relmask.checks.verdict import Check

__all__ = ["Check", "check", "check_samples", "chosen"]
