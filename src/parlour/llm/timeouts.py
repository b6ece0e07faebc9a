"""How long a provider may take at each stage, and the one timer that watches a stream.

A timer per token would cost more than the token. The watch keeps one timer for a whole stream: every read
only moves a number, and the timer, when it goes off too early, arms itself again for what is left.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from parlour.vocabulary.errors import Stage, TimedOut


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, to the first word, between two words, and for the whole answer (P-13)."""

    connect: float = 5.0
    first_token: float = 30.0
    stall: float = 30.0
    total: float = 600.0


class Watch:
    """Interrupts a stream that is too slow. Only the time spent waiting for the provider counts, except for
    the total, which counts everything.
    """

    def __init__(self, timeouts: Timeouts, time_left: float | None = None) -> None:
        """Start the clock of the whole answer, and expect the first word.

        ``time_left`` are the seconds that whoever asks has left, when that is less than the total.
        """
        self._loop = asyncio.get_running_loop()
        if time_left is not None and time_left < timeouts.total:
            timeouts = replace(timeouts, total=max(0.0, time_left))
        self._timeouts = timeouts
        self._end = self._loop.time() + timeouts.total
        self._interrupt: Callable[[TimedOut], object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stage: Stage = "first_token"
        self._due = self._end
        self.expect("first_token")

    @property
    def due(self) -> float:
        """The loop's time at which the provider will be too late."""
        return self._due

    def expect(self, stage: Stage) -> None:
        """The provider showed life: count anew from here."""
        due = self._loop.time() + (self._timeouts.stall if stage == "stall" else self._timeouts.first_token)
        self._stage = stage
        self._due = due if due < self._end else self._end
        if self._interrupt is not None and (self._timer is None or self._timer.when() > self._due):
            self._arm()

    def hurry(self, seconds: float) -> None:
        """Only formalities are left: wait for them so long at most."""
        self._due = min(self._due, self._loop.time() + seconds)
        if self._interrupt is not None and (self._timer is None or self._timer.when() > self._due):
            self._arm()

    def rest(self) -> None:
        """The provider is not waited for now: whoever reads the answer has the floor.

        The time for the whole answer goes on. A timer that goes off too early meanwhile is set to its end.
        """
        self._due = self._end

    def begin(self, interrupt: Callable[[TimedOut], object]) -> None:
        """From here on call ``interrupt`` with the error when the provider is too late."""
        self._interrupt = interrupt
        self._arm()

    def stop(self) -> None:
        """Watch no longer."""
        self._interrupt = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def verdict(self) -> TimedOut:
        """Return the error that fits what was waited for."""
        if self._due >= self._end:
            return TimedOut("total", self._timeouts.total)
        limit = self._timeouts.stall if self._stage == "stall" else self._timeouts.first_token
        return TimedOut(self._stage, limit)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer = self._loop.call_at(self._due, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._loop.time() < self._due:
            self._arm()
        elif self._interrupt is not None:
            self._interrupt(self.verdict())
