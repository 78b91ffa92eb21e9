"""The few of many pictures that a person should see: the worst, and a fair sample of the rest."""

from collections.abc import Callable
from hashlib import sha256
from heapq import heappush, heappushpop
from os import fsencode
from typing import Generic, TypeVar

WORST, SAMPLE = 12, 12
"""Pictures on a page, however many there are."""

T = TypeVar("T")
Badness = tuple[float, ...]


class Album(Generic[T]):
    """Takes every picture, keeps a few: memory stays flat.

    The sample is drawn by a hash of the names, so the same pictures give the same page in whatever order.
    """

    def __init__(self) -> None:
        self._worst: list[tuple[Badness, int, T]] = []
        self._sample: list[tuple[int, Badness, T]] = []

    def add(self, name: str, badness: Badness, make: Callable[[], T], *, faulty: bool = True) -> None:
        """Keep a picture if it is among the worst, or drawn for the sample.

        Args:
            name: of the picture, unlike all others.
            badness: higher is worse.
            make: gives what is kept; called only if it is.
            faulty: may it be among the worst?
        """
        ticket = int.from_bytes(sha256(fsencode(name)).digest()[:8], "big")
        among_worst = faulty and (len(self._worst) < WORST or (badness, -ticket) > self._worst[0][:2])
        drawn = len(self._sample) < SAMPLE or ticket > self._sample[0][0]
        if not among_worst and not drawn:
            return
        kept = make()
        if among_worst:
            (heappush if len(self._worst) < WORST else heappushpop)(self._worst, (badness, -ticket, kept))
        if drawn:
            (heappush if len(self._sample) < SAMPLE else heappushpop)(self._sample, (ticket, badness, kept))

    @property
    def worst(self) -> list[T]:
        """Worst first."""
        return [kept for *_, kept in sorted(self._worst, key=lambda entry: entry[:2], reverse=True)]

    @property
    def sample(self) -> list[T]:
        """Drawn from all alike, without those among the worst; worst first."""
        shown = {-ticket for _, ticket, _ in self._worst}
        rest = [(badness, ticket, kept) for ticket, badness, kept in self._sample if ticket not in shown]
        return [kept for *_, kept in sorted(rest, key=lambda entry: entry[:2], reverse=True)]
