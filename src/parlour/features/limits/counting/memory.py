"""Counters of this process."""

import time
from collections.abc import Callable, Sequence

from parlour.features.limits.counting.tally import NOTHING, Charge, Tally, Verdict

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

    async def admit(self, charges: Sequence[Charge]) -> Verdict:
        """Count all or none."""
        now, window = self._clock(), self.window
        tallies = [self._tally(charge.key, now) for charge in charges]
        for charge, tally in zip(charges, tallies, strict=True):
            if tally.used(window) + charge.cost > charge.limit:
                return Verdict(False, tallies)  # noqa: FBT003 - named by its type
        for charge, tally in zip(charges, tallies, strict=True):
            self._put(charge.key, tally, charge.cost, now)
        return Verdict(True, tallies)  # noqa: FBT003

    async def fill(self, charges: Sequence[Charge]) -> None:
        """Count what there is room for."""
        now = self._clock()
        for charge in charges:
            tally = self._tally(charge.key, now)
            room = charge.limit - tally.used(self.window)
            if room > 0:
                self._put(charge.key, tally, min(charge.cost, room), now)

    def learn(self, key: str, tally: Tally) -> Tally:
        """Take over a tally from elsewhere where it is higher than what is known here; return the higher."""
        now = self._clock()
        known = self._tally(key, now)
        if known.used(self.window) > tally.used(self.window):
            return known
        if tally.current or tally.previous:
            self._put(key, tally, 0, now)
        return tally

    def add(self, key: str, cost: int) -> None:
        """Count what was admitted elsewhere."""
        now = self._clock()
        self._put(key, self._tally(key, now), cost, now)

    def _put(self, key: str, tally: Tally, cost: int, now: float) -> None:
        if key not in self._counters:
            self._make_room(now)
        left = tally.left if tally.current or tally.previous else self.window
        self._counters[key] = (now + left, tally.previous, tally.current + cost)

    def _tally(self, key: str, now: float) -> Tally:
        counter = self._counters.get(key)
        if counter is None:
            return NOTHING
        end, previous, current = counter
        if now < end:
            return Tally(previous, current, end - now)
        if current and now < end + self.window:
            return Tally(current, 0, end + self.window - now)
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
