"""Is a mask evidence? Takes a run and labelled pictures, no true masks; gives a verdict.

`check` judges a run, or any function from a picture to a mask; `verdict` is what check.json holds,
`subjects` what is judged; `data.painting` takes a part of a picture away.
"""

from relmask.checks.check import check, chosen
from relmask.checks.verdict import Check

__all__ = ["Check", "check", "chosen"]
