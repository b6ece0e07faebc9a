"""When a failed call is made again, and how long is waited before (M-4, P-15).

At most two retries after a failure that may pass, with full jitter; one silent retry after an empty answer,
unless thinking had used up all its tokens; and over all calls together no more than one retry in ten, so that
a provider in trouble is not buried under its own clients. With somebody else at hand there is one quick
retry, and no long wait.
"""

from collections.abc import Callable

from parlour.vocabulary.errors import (
    EmptyAnswer,
    Overloaded,
    ProviderError,
    RateLimited,
    TimedOut,
    Unreachable,
)

MOST_RETRIES = 2
# Doubles with each retry; the wait is anything between nothing and this (full jitter).
FIRST_BACKOFF = 0.5
# A reader waits this long for a good answer; for more, an honest "busy" with the time is better.
LONGEST_WAIT = 10.0
# While somebody else could answer at once, nobody is waited for longer than this.
WAIT_WITH_OTHERS = 1.0


class RetryBudget:
    """How many retries all calls together may still make: a tenth of the calls, and a small reserve."""

    def __init__(self, *, share: float = 0.1, reserve: float = 10.0) -> None:
        """Start with the reserve, which is also the most that can be saved up."""
        self._share = share
        self._most = reserve
        self._left = reserve

    def earn(self) -> None:
        """A call was made."""
        self._left = min(self._most, self._left + self._share)

    def spend(self) -> bool:
        """Take one retry, if there is one."""
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Retries:
    """The retries of one model for one answer, while nobody has seen anything of it."""

    def __init__(self, budget: RetryBudget, jitter: Callable[[float, float], float]) -> None:
        """Share ``budget`` with all calls; this call earns its part."""
        self._budget = budget
        self._jitter = jitter
        self._made = 0
        self._was_empty = False
        budget.earn()

    def wait_after(self, error: ProviderError, *, others: bool) -> float | None:
        """Return the seconds to wait before asking again; None where asking again is no use.

        ``others`` says that somebody else could answer at once.
        """
        if isinstance(error, EmptyAnswer):
            wait = None if self._was_empty or error.spent else 0.0
            self._was_empty = True
            return wait
        if self._made == (1 if others else MOST_RETRIES):
            return None
        wait = self._pause(error, others=others)
        if wait is None or wait > (WAIT_WITH_OTHERS if others else LONGEST_WAIT + FIRST_BACKOFF * 2):
            return None
        if not self._budget.spend():
            return None
        self._made += 1
        return wait

    def _pause(self, error: ProviderError, *, others: bool) -> float | None:
        match error:
            case TimedOut(stage="connect") if others:
                return None  # seconds went by already
            case TimedOut(stage="connect") | Unreachable() | Overloaded():
                asked_for = error.retry_after or 0.0
            case RateLimited(retry_after=float(seconds)):
                asked_for = seconds
            case _:
                return None
        if asked_for > LONGEST_WAIT:
            return None
        return asked_for + self._jitter(0.0, FIRST_BACKOFF * 2**self._made)
