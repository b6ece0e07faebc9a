"""A sliding window of two counters for each key: how much was used, and when there is room again.

What happened in the window before counts by the share of it that is still within reach. Whoever knows a
tally can therefore tell to the millisecond when the next one passes.
"""

from collections.abc import Sequence
from math import floor
from typing import NamedTuple, Protocol

# A wait of exactly the computed length would end on the edge; Redis counts in whole milliseconds.
MARGIN_SECONDS = 0.005


class Tally(NamedTuple):
    """What was counted in the window before and in this one, which ends in ``left`` seconds."""

    previous: int
    current: int
    left: float

    def used(self, window: int) -> int:
        """Return what counts now."""
        return (floor(self.previous * self.left / window) if self.previous else 0) + self.current

    def wait(self, limit: int, cost: int, window: int) -> float:
        """Return how many seconds from now ``cost`` more passes, if nothing else is counted; 0 for now."""
        room = limit - min(cost, limit)
        if self.used(window) <= room:
            return 0.0
        if self.current <= room:
            return self.left - (room - self.current + 1) * window / self.previous + MARGIN_SECONDS
        # Only when this window has become the one before, and its weight has fallen far enough.
        return self.left + max(0.0, window - (room + 1) * window / self.current) + MARGIN_SECONDS


NOTHING = Tally(0, 0, 0.0)


class Charge(NamedTuple):
    """So much of a key's limit is to be used; ``cost`` is at most ``limit``."""

    key: str
    limit: int
    cost: int


class Verdict(NamedTuple):
    """Whether charges passed, and each one's tally as it was before."""

    passed: bool
    tallies: list[Tally]


class Counting(Protocol):
    """Counters by key, all with the same window. Never raises: who cannot reach his counters has others."""

    window: int
    """Seconds."""

    @property
    def share(self) -> float:
        """Return which part of a limit may be used here: 1, or less while others count for themselves."""
        ...

    async def admit(self, charges: Sequence[Charge]) -> Verdict:
        """Count all of the charges if every limit has room for its own, else none of them."""
        ...

    async def fill(self, charges: Sequence[Charge]) -> None:
        """Count of each charge as much as its limit has room for."""
        ...
