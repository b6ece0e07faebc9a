"""Counters of this process."""

import time
from collections.abc import Callable, Sequence

from parlour.features.limits.counting.tally import NOTHING, Charge, Tally

SWEEP_EVERY = 4096  # keys made between two sweeps: forgetting costs each of them a constant share


class Memory:
    """Counters of this process alone."""

    def __init__(
        self,
        window: int = 60,
        *,
        clock: Callable[[], float] = time.monotonic,
        share: Callable[[], float] = lambda: 1.0,
    ) -> None:
        """Count in windows of so many seconds by ``clock``; ``share`` tells our part of the limits."""
        self.window = window
        self._clock = clock
        self._share = share
        self._counters: dict[str, tuple[float, int, int]] = {}  # end of the window, the one before, this one
        self._made = 0

    @property
    def share(self) -> float:
        """Return the part of limits that may be used in this process."""
        return self._share()

    async def look(self, keys: Sequence[str]) -> list[Tally]:
        """Return the tallies."""
        now = self._clock()
        return [self._tally(key, now) for key in keys]

    async def take(self, charges: Sequence[Charge]) -> list[bool]:
        """Count what passes."""
        now = self._clock()
        return [self._take(charge, now) for charge in charges]

    def learn(self, key: str, tally: Tally) -> Tally:
        """Take over a tally from elsewhere where it is higher than what is known here; return the higher."""
        now = self._clock()
        known = self._tally(key, now)
        if known.used(self.window) > tally.used(self.window):
            return known
        if tally.current or tally.previous:
            if key not in self._counters:
                self._make_room(now)
            self._counters[key] = (now + tally.left, tally.previous, tally.current)
        return tally

    def add(self, key: str, cost: int) -> None:
        """Count what was admitted elsewhere."""
        self._add(key, cost, self._clock())

    def _take(self, charge: Charge, now: float) -> bool:
        if self._tally(charge.key, now).used(self.window) + charge.cost > charge.limit:
            return False
        self._add(charge.key, charge.cost, now)
        return True

    def _add(self, key: str, cost: int, now: float) -> None:
        tally = self._tally(key, now)
        if key not in self._counters:
            self._make_room(now)
        end = now + (tally.left if tally.current or tally.previous else self.window)
        self._counters[key] = (end, tally.previous, tally.current + cost)

    def _tally(self, key: str, now: float) -> Tally:
        end, previous, current = self._counters.get(key, (now, 0, 0))
        if now < end:
            return Tally(previous, current, end - now)
        if now < end + self.window:
            return Tally(current, 0, end + self.window - now) if current else NOTHING
        return NOTHING

    def _make_room(self, now: float) -> None:
        """Forget keys of which nothing counts any more."""
        self._made += 1
        if self._made < SWEEP_EVERY:
            return
        self._made = 0
        self._counters = {
            key: counter for key, counter in self._counters.items() if now < counter[0] + self.window
        }
