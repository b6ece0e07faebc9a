"""Circuit breakers: a model that keeps failing is left alone for a while, then tried by one call (M-5, P-16).

There is one breaker for each provider and model. It counts the calls of the last half minute; it opens when
enough of them failed, lets one call through after a pause, and closes when that call is answered. A provider
that asks to slow down is no failure: it is *cooling* until the time it named.

A breaker decides in the process, in microseconds, and waits for nothing. How the replicas tell each other is
the matter of :mod:`parlour.llm.orchestra.breakers`.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import quantiles
from time import monotonic

import structlog

from parlour.vocabulary.errors import (
    ContextTooLong,
    ProviderError,
    RateLimited,
    Refused,
    Rejected,
)

# How many times to the first word are remembered: enough for a 95th percentile that is not one outlier.
SAMPLES = 64
# A provider that asks to slow down without saying for how long.
UNNAMED_PAUSE = 10.0
# However long a provider asks for, it is looked at again: money may have been put on its account.
LONGEST_PAUSE = 600.0
_log = structlog.get_logger(__name__)


class State(StrEnum):
    """What a breaker does with calls: passes all, none, one; or waits because it was asked to."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    COOLING = "cooling"


class Entry(StrEnum):
    """What came of asking to make a call."""

    USUAL = "usual"
    TRYING = "trying"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """When breakers open and for how long. Times in seconds; ``slow_call`` None means that slow is fine."""

    failures: int = 5
    share: float = 0.5
    window: int = 30
    pause: float = 10.0
    longest_pause: float = 120.0
    slow_call: float | None = None


@dataclass(frozen=True, slots=True)
class BreakerState:
    """A breaker as operators see it; all times in seconds, those to the first word over the last calls."""

    provider: str
    model: str
    state: State
    calls: int
    failures: int
    rate: float
    retry_in: float | None = None
    ttft_p50: float | None = None
    ttft_p95: float | None = None
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """How a model did lately: calls and failures in the window, and its usual time to the first word."""

    calls: int
    failures: int
    ttft: float | None


@dataclass(frozen=True, slots=True)
class Transition:
    """What a replica tells the others: the state, seconds until the next try, openings in a row.

    ``state`` is closed, open or cooling. Seconds and not a time, since the clocks of replicas differ: the
    store keeps the moment by its own clock and hands out what is left.
    """

    provider: str
    model: str
    state: State
    seconds: float
    openings: int


class Breaker:
    """The breaker of one model. Not safe between threads; nothing in it waits."""

    def __init__(
        self, provider: str, model: str, rules: BreakerRules, clock: Callable[[], float] = monotonic
    ) -> None:
        """Begin closed."""
        self.provider = provider
        self.model = model
        self.told = True  # whether the other replicas know the state
        self._rules = rules
        self._clock = clock
        self._open = False
        self._trying = False
        self._retry_at = 0.0
        self._openings = 0
        self._cooling_until = 0.0
        self._seconds: deque[list[int]] = deque()  # [second, calls, failures], oldest first
        self._calls = 0
        self._failures = 0
        self._ttft: deque[float] = deque(maxlen=SAMPLES)
        self._usual: float | None = None  # the median of those, once somebody asked
        self._last_error: str | None = None

    @property
    def state(self) -> State:
        """The state now."""
        now = self._clock()
        if self._open:
            return State.OPEN if now < self._retry_at and not self._trying else State.HALF_OPEN
        return State.COOLING if now < self._cooling_until else State.CLOSED

    @property
    def free(self) -> bool:
        """Tell whether a call could be made now, without making one."""
        if not self._open and not self._cooling_until:
            return True
        now = self._clock()
        if self._open:
            return not self._trying and now >= self._retry_at
        return now >= self._cooling_until

    @property
    def wait(self) -> float:
        """Seconds until a call may be made; zero when it may be made now."""
        now = self._clock()
        until = self._retry_at if self._open else self._cooling_until
        if self._open and self._trying:
            until = max(until, now + 1.0)
        return max(0.0, until - now)

    def enter(self) -> Entry:
        """Ask to make a call. What was let in must be reported by one of the next four."""
        if not self._open and not self._cooling_until:
            return Entry.USUAL
        if not self.free:
            return Entry.REFUSED
        if self._open:
            self._trying = True
            return Entry.TRYING
        self._cooling_until = 0.0
        return Entry.USUAL

    def spoke(self, entry: Entry, seconds: float) -> Entry:
        """The first word came after so many seconds; return what the call is from here on.

        A word is enough to close: an answer may take minutes, and others wait.
        """
        self._ttft.append(seconds)
        self._usual = None
        slow = self._rules.slow_call is not None and seconds > self._rules.slow_call
        if entry is Entry.TRYING:
            if slow:
                self._reopen()
            else:
                self._close()
            return Entry.USUAL
        if slow:
            self._count(failed=True)
            return Entry.REFUSED  # counted already: its end says nothing more
        return entry

    def succeeded(self, entry: Entry) -> None:
        """The call was answered to its end."""
        if entry is Entry.TRYING:
            self._close()
        elif entry is Entry.USUAL:
            self._count(failed=False)

    def failed(self, entry: Entry, error: ProviderError) -> None:
        """The call ended in ``error``; what only the question is to blame for counts as answered."""
        if isinstance(error, Refused | ContextTooLong | Rejected):
            self.succeeded(entry)
            return
        self._last_error = error.code
        if isinstance(error, RateLimited):
            if entry is Entry.TRYING:
                self._close()
            self._cool(error.retry_after)
        elif entry is Entry.TRYING:
            self._reopen()
        elif entry is Entry.USUAL:
            self._count(failed=True)

    def abandoned(self, entry: Entry) -> None:
        """The call was given up by whoever asked: it says nothing about the model."""
        if entry is Entry.TRYING:
            self._trying = False
            self.told = False

    def stand_back(self) -> None:
        """Another replica makes the trying call: look again in a moment."""
        self._trying = False
        self._retry_at = self._clock() + 1.0

    def record(self) -> Record:
        """Return how the model did lately, in a microsecond."""
        self._forget_old(int(self._clock()))
        if self._usual is None and self._ttft:
            self._usual = sorted(self._ttft)[len(self._ttft) // 2]
        return Record(self._calls, self._failures, self._usual)

    def snapshot(self) -> BreakerState:
        """Return the figures of now."""
        self._forget_old(int(self._clock()))
        state, wait = self.state, self.wait
        p50, p95 = percentiles(self._ttft)
        return BreakerState(
            provider=self.provider,
            model=self.model,
            state=state,
            calls=self._calls,
            failures=self._failures,
            rate=self._failures / self._calls if self._calls else 0.0,
            retry_in=wait if state in (State.OPEN, State.COOLING) else None,
            ttft_p50=p50,
            ttft_p95=p95,
            last_error=self._last_error,
        )

    def transition(self) -> Transition:
        """Return what the other replicas should know."""
        state = State.OPEN if self._open else self.state
        return Transition(self.provider, self.model, state, self.wait, self._openings)

    def adopt(self, word: Transition) -> None:
        """Take over what another replica found out."""
        if self._trying or not self.told:
            return  # we are about to know better
        now = self._clock()
        if word.state is State.OPEN:
            self._open, self._openings = True, word.openings
            self._retry_at = now + word.seconds
        elif self._open:
            self._forget()
        if word.state is State.COOLING and word.seconds > 0:
            self._cooling_until = now + word.seconds

    def _cool(self, seconds: float | None) -> None:
        pause = UNNAMED_PAUSE if seconds is None else min(seconds, LONGEST_PAUSE)
        self._cooling_until = max(self._cooling_until, self._clock() + pause)
        self.told = False

    def _count(self, *, failed: bool) -> None:
        second = int(self._clock())
        if not self._seconds or self._seconds[-1][0] != second:
            self._forget_old(second)
            self._seconds.append([second, 0, 0])
        bucket = self._seconds[-1]
        bucket[1] += 1
        self._calls += 1
        if not failed:
            return
        bucket[2] += 1
        self._failures += 1
        rules = self._rules
        enough = self._failures >= rules.failures and self._failures >= self._calls * rules.share
        if enough and not self._open:
            self._reopen()

    def _forget_old(self, second: int) -> None:
        while self._seconds and self._seconds[0][0] <= second - self._rules.window:
            _, calls, failures = self._seconds.popleft()
            self._calls -= calls
            self._failures -= failures

    def _reopen(self) -> None:
        rules = self._rules
        pause = min(rules.longest_pause, rules.pause * 2.0**self._openings)
        self._open, self._trying, self.told = True, False, False
        self._openings = min(self._openings + 1, 32)
        self._retry_at = self._clock() + pause
        _log.warning("breaker_opened", provider=self.provider, model=self.model, seconds=pause)

    def _close(self) -> None:
        self._forget()
        self.told = False
        _log.info("breaker_closed", provider=self.provider, model=self.model)

    def _forget(self) -> None:
        self._open, self._trying, self._openings = False, False, 0
        self._seconds.clear()
        self._calls = self._failures = 0


def percentiles(samples: Sequence[float] | deque[float]) -> tuple[float | None, float | None]:
    """Return the median and the 95th percentile; None where there are no samples."""
    if not samples:
        return None, None
    if len(samples) == 1:
        return samples[0], samples[0]
    cuts = quantiles(samples, n=20, method="inclusive")
    return cuts[9], cuts[18]
