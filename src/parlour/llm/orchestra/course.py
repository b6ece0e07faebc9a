"""The way of one prompt from model to model: who is next, and what the reader is told when nobody is left.

Owns the decisions, which wait for nothing but a pause before a retry; the words themselves flow past in
:mod:`parlour.llm.orchestra.fallback`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from parlour.llm.model import Prompt
from parlour.llm.orchestra.breaker import Breaker, Entry, State
from parlour.llm.orchestra.breakers import Breakers
from parlour.llm.orchestra.calls import Call
from parlour.llm.orchestra.ledger import Ledger, was_taken
from parlour.llm.orchestra.routing import LEAST_ROOM, Candidate, Choice, PassedOver, resting, within_sentence
from parlour.llm.retry import FIRST_BACKOFF, LONGEST_WAIT, Retries, RetryBudget
from parlour.llm.tokens import estimate_tokens
from parlour.vocabulary.errors import (
    BadKey,
    ContextTooLong,
    EmptyAnswer,
    Garbled,
    ModelMissing,
    NoProvider,
    Overloaded,
    ProviderError,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    Unreachable,
)

# With less time left no model would say anything of use.
LEAST_TIME = 0.05
# A continuation may say at least so much, however much was said before.
LEAST_TOKENS = 16

# What a reader should rather be told when several models failed: first what only they can mend, then what
# passes, last what only the operator can mend.
_TELLING: tuple[type[ProviderError], ...] = (
    Refused,
    RateLimited,
    Overloaded,
    TimedOut,
    Unreachable,
    EmptyAnswer,
    Garbled,
    ContextTooLong,
    ModelMissing,
    BadKey,
    Rejected,
)

_TROUBLE: dict[type[ProviderError], str] = {
    Overloaded: "is busy",
    RateLimited: "takes no more questions for the moment",
    TimedOut: "took too long",
    Unreachable: "could not be reached",
    EmptyAnswer: "said nothing",
    Garbled: "could not be understood",
    ContextTooLong: "cannot take that much text",
    Rejected: "does not take this question",
    ModelMissing: "is not set up correctly",
    BadKey: "is not set up correctly",
}


@dataclass(frozen=True, slots=True)
class Means:
    """What every answer is made with: shared figures, clocks, and ways to wait."""

    breakers: Breakers
    budget: RetryBudget
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    jitter: Callable[[float, float], float]


class Course:
    """The way of one prompt from model to model."""

    def __init__(
        self,
        *,
        choice: Choice,
        prompt: Prompt,
        means: Means,
        ledger: Ledger,
        deadline: float,
        start: int,
        why: str,
    ) -> None:
        """Begin with the ``start``-th of the candidates, which is asked because of ``why``."""
        self._choice = choice
        self._prompt = prompt
        self._means = means
        self._ledger = ledger
        self._deadline = deadline
        self._order = (*choice.candidates[start:], *choice.candidates[:start])
        self._place = 0
        self._why = why
        self._said: list[str] = []
        self._errors: list[tuple[Candidate, ProviderError]] = []
        self._skipped = {over.ref for over in choice.passed_over}
        self._retries: Retries | None = None
        self._pause: float | None = None
        self._waited = False
        self._paid_again = False
        self._too_small = 0
        self._rejections = 0

    @property
    def said(self) -> bool:
        """Tell whether a reader has seen a word."""
        return bool(self._said)

    async def next_call(self) -> Call | None:
        """Return the next call to make, after the pause that it wants; None when nobody is left."""
        if self._pause is not None:
            pause, self._pause = self._pause, None
            await self._means.sleep(pause)
        while self._time_left > LEAST_TIME:
            if self._place >= len(self._order):
                if not await self._waits_for_somebody():
                    return None
                continue
            candidate = self._order[self._place]
            breaker = self._means.breakers.of(candidate.model.provider, candidate.model.name)
            entry = Entry.REFUSED if self._cannot(candidate) else await self._enter(breaker)
            if entry is not Entry.REFUSED:
                return self._call(candidate, breaker, entry)
            words = self._cannot(candidate) or resting(candidate, breaker)
            self._skip(candidate, words)
            self._next()
            if not self._errors and self._place < len(self._order):
                self._why = f"{words}, so {within_sentence(self._order[self._place].label)} was asked."
        return None

    def failed(self, call: Call, error: ProviderError) -> None:
        """Decide what comes after a failed call; nothing when it had said everything before."""
        if call.finished:
            return
        in_time = not (isinstance(error, TimedOut) and self._time_left <= LEAST_TIME)
        call.failed(error, in_time=in_time)
        self._errors.append((call.candidate, error))
        self._said += call.said
        if self._may_be_asked_again(call.candidate, error):
            self._why = f"It was asked again, since it {self._trouble(error)}."
            return
        self._next()
        self._note(call.candidate, error)

    def verdict(self) -> ProviderError:
        """Return what the reader is told when nobody could answer."""
        waits = [error.retry_after for _, error in self._errors if error.retry_after is not None]
        if not self._errors:
            return self._nobody_free()
        if self._said:
            _, error = self._errors[-1]
        else:
            _, error = min(self._errors, key=lambda each: _rank(each[1]))
        if error.retryable and waits:
            error.retry_after = min(waits)
        if len(self._errors) > 1:
            error.cause = "; ".join(
                f"{candidate.ref}: {failure.cause or failure.code}" for candidate, failure in self._errors
            )
        return error

    @property
    def _time_left(self) -> float:
        return self._deadline - self._means.clock()

    def _call(self, candidate: Candidate, breaker: Breaker, entry: Entry) -> Call:
        if self._retries is None:
            self._retries = Retries(self._means.budget, self._means.jitter)
        return Call(
            candidate=candidate,
            prompt=self._prompt_for(candidate),
            breaker=breaker,
            entry=entry,
            why=self._why_of(candidate),
            ledger=self._ledger,
            clock=self._means.clock,
        )

    def _prompt_for(self, candidate: Candidate) -> Prompt:
        """Return the prompt with what was said, and with what this model may still say in the time left."""
        prompt, profile = self._prompt, candidate.profile
        said = "".join(self._said)
        most = prompt.max_tokens
        if most is not None:
            room = profile.context_tokens - self._choice.prompt_tokens
            if room < LEAST_ROOM:
                room = profile.context_tokens // 4  # the prompt was estimated, and it did get here
            most = min(most, profile.output_tokens, room)
            if said:
                most = max(LEAST_TOKENS, most - estimate_tokens(said))
        return replace(prompt, partial=prompt.partial + said, max_tokens=most, time_left=self._time_left)

    def _why_of(self, candidate: Candidate) -> str:
        if not self._errors or self._errors[-1][0] is candidate:
            return self._why
        failed, error = self._errors[-1]
        name, other = candidate.label, failed.label
        if name == other:
            name, other = candidate.model.name, failed.model.name
        if self._said:
            return f"{other} broke off, so {within_sentence(name)} went on."
        return f"{other} {self._trouble(error)}, so {within_sentence(name)} was asked."

    def _may_be_asked_again(self, candidate: Candidate, error: ProviderError) -> bool:
        """Tell whether the same model is to be asked again, after the pause that was noted.

        Of the calls that must be paid for, one in an answer is made again: so much is set aside (B-4).
        """
        resting_now = self._breaker_of(candidate).state is State.OPEN
        paid = was_taken(error)
        if self._said or self._retries is None or resting_now or (paid and self._paid_again):
            return False
        pause = self._retries.wait_after(error, others=self._somebody_else())
        if pause is None or pause >= self._time_left:
            return False
        self._pause = pause
        self._paid_again = self._paid_again or paid
        return True

    async def _enter(self, breaker: Breaker) -> Entry:
        entry = breaker.enter()
        if entry is Entry.TRYING:
            try:
                allowed = await self._means.breakers.may_try(breaker)
            except BaseException:
                breaker.abandoned(entry)
                raise
            if not allowed:
                breaker.stand_back()
                return Entry.REFUSED
        return entry

    def _cannot(self, candidate: Candidate) -> str | None:
        """Return why this model cannot take over what the others left."""
        profile = candidate.profile
        too_much = self._choice.prompt_tokens + LEAST_ROOM > profile.context_tokens and not profile.assumed
        if profile.context_tokens <= self._too_small or (too_much and candidate is not self._choice.first):
            return f"{candidate.label} cannot take that much text"
        if self._said and not profile.continues:
            return f"{candidate.label} cannot go on from what another began"
        return None

    def _skip(self, candidate: Candidate, words: str) -> None:
        if candidate.ref not in self._skipped:
            self._skipped.add(candidate.ref)
            self._ledger.skipped(PassedOver(candidate.model.provider, candidate.model.name, words))

    def _next(self) -> None:
        self._place += 1
        self._retries = None

    def _note(self, candidate: Candidate, error: ProviderError) -> None:
        """Remember what a failure means for those that come next."""
        if isinstance(error, ContextTooLong):
            self._too_small = max(self._too_small, candidate.profile.context_tokens)
        if isinstance(error, Rejected):
            self._rejections += 1
        if isinstance(error, Refused) or self._rejections > 1:
            self._place = len(self._order)

    def _somebody_else(self) -> bool:
        return any(
            self._cannot(each) is None and self._breaker_of(each).free
            for each in self._order[self._place + 1 :]
        )

    def _breaker_of(self, candidate: Candidate) -> Breaker:
        return self._means.breakers.of(candidate.model.provider, candidate.model.name)

    async def _waits_for_somebody(self) -> bool:
        """When all were passed over, and one only wants a short pause: wait for it, once."""
        if self._errors or self._waited:
            return False
        breakers = [self._breaker_of(each) for each in self._order if self._cannot(each) is None]
        waits = [each.wait for each in breakers if each.state is State.COOLING]
        if not waits or min(waits) > min(LONGEST_WAIT, self._time_left):
            return False
        self._waited = True
        await self._means.sleep(min(waits) + self._means.jitter(0.0, FIRST_BACKOFF))
        self._place = 0
        return True

    def _nobody_free(self) -> ProviderError:
        if self._time_left <= LEAST_TIME:
            return TimedOut("total", 0)
        breakers = [self._breaker_of(each) for each in self._order]
        wait = min((each.wait for each in breakers), default=None)
        if breakers and all(each.state is State.COOLING for each in breakers):
            return RateLimited(retry_after=wait, cause="every model asked to slow down")
        return NoProvider(retry_after=wait, cause="the breaker of every model is open")

    @staticmethod
    def _trouble(error: ProviderError) -> str:
        return _TROUBLE.get(type(error), "could not answer")


def _rank(error: ProviderError) -> int:
    kind = type(error)
    return _TELLING.index(kind) if kind in _TELLING else _TELLING.index(Garbled)
