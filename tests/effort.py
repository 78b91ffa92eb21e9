"""Trainings of tests take seconds."""

from relmask.training.effort import Effort

LITTLE = Effort(steps=3, explained=1, compared=0, checked=0)
"""Enough to come to an end; what has hardly learned would fail a check, with a warning."""
