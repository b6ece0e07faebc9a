"""One voice made of several models: asks, asks again, and lets another go on, without repeating a word.

Before the first word a failure is not seen: the same model is asked again where that may help, else the next
one. After words were shown the next one goes on from them. All of this is one generator around the model's
own, so that a token passes through it for the price of one step; and all attempts together have one
deadline. Every call leaves a line in the ledger, however it ended (M-4, M-6, P-13 to P-16).
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from decimal import Decimal

from parlour.llm.cost import Prices
from parlour.llm.model import Chosen, Finish, ModelEvent, Prompt, Text
from parlour.llm.orchestra.breakers import Breakers
from parlour.llm.orchestra.cached import Kept, ResponseCache
from parlour.llm.orchestra.calls import Call
from parlour.llm.orchestra.course import Course, Means
from parlour.llm.orchestra.ledger import Heard, Ledger
from parlour.llm.orchestra.routing import Candidate, Choice
from parlour.llm.retry import RetryBudget
from parlour.llm.timeouts import Timeouts
from parlour.vocabulary.attempt import Attempt, AttemptStatus
from parlour.vocabulary.errors import ProviderError
from parlour.vocabulary.messages import FinishReason
from parlour.vocabulary.usage import Usage

FROM_CACHE = "The same question was answered before."


class Orchestra:
    """Makes answers; one for the whole server, so that all of them share breakers and the retry budget."""

    def __init__(
        self,
        *,
        breakers: Breakers | None = None,
        budget: RetryBudget | None = None,
        prices: Prices | None = None,
        timeouts: Timeouts | None = None,
        cache: ResponseCache | None = None,
        heard: Heard | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """Share what is given; ``heard`` is told of every line of every ledger, for metrics."""
        self.breakers = breakers or Breakers(clock=clock)
        self._means = Means(self.breakers, budget or RetryBudget(), clock, sleep, jitter)
        self._prices = prices or Prices()
        self._total = (timeouts or Timeouts()).total
        self._cache = cache
        self._heard = heard
        self._now = now

    def answering(
        self, choice: Choice, deadline: float | None = None, *, scope: str | None = None
    ) -> "Answering":
        """Return the voice for one turn.

        ``deadline`` is in seconds of the clock (monotonic time), by default the total timeout from now.
        ``scope`` says whose answers from the cache may be given: a person's id, or ``shared`` where nothing
        personal is in the prompt; None gives and keeps none.
        """
        return Answering(
            choice=choice,
            means=self._means,
            ledger=Ledger(self._prices, self._now, self._heard),
            deadline=self._means.clock() + self._total if deadline is None else deadline,
            cache=self._cache if scope is not None else None,
            scope=scope or "",
        )

    def model(self, candidates: Sequence[Candidate], why: str) -> "Chain":
        """Return a plain model made of several, for work behind the scenes such as titles."""
        return Chain(self, tuple(candidates), why)


class Answering:
    """A model for one turn, whoever speaks. May be asked several times, as tools are called in between."""

    def __init__(
        self,
        *,
        choice: Choice,
        means: Means,
        ledger: Ledger,
        deadline: float,
        cache: ResponseCache | None,
        scope: str,
    ) -> None:
        """Be ready to ask the first of the choice."""
        self.provider = choice.first.model.provider
        self.name = choice.first.model.name
        self.why = choice.why
        self._choice = choice
        self._means = means
        self._ledger = ledger
        self._deadline = deadline
        self._cache = cache
        self._scope = scope
        self._announced: tuple[str, str] | None = None
        for over in choice.passed_over:
            ledger.skipped(over)

    @property
    def ledger(self) -> list[Attempt]:
        """Every call of the turn in the order they ended; complete as soon as the stream is closed."""
        return self._ledger.lines

    @property
    def usage(self) -> Usage:
        """All tokens of the turn."""
        return self._ledger.usage

    @property
    def cost_usd(self) -> Decimal | None:
        """What the turn cost; None when a part of that is unknown."""
        return self._ledger.cost_usd

    def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
        """Answer as :class:`~parlour.llm.model.Model` says, with ``Chosen`` before whoever speaks."""
        kept = None if self._cache is None else self._cache.get(self._scope, self._choice.first.ref, prompt)
        return self._live(prompt) if kept is None else self._replay(kept)

    async def _live(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
        course = self._course(prompt)
        while (call := await course.next_call()) is not None:
            try:
                announcement = self._announce(call.candidate, call.why)
                if announcement is not None:
                    yield announcement
                said = call.said
                async with aclosing(call.events()) as events:
                    async for event in events:
                        if call.flowing and type(event) is Text:
                            said.append(event.content)
                            yield event
                        else:
                            for each in call.take(event):
                                yield each
                call.expect_finished()
            except ProviderError as error:
                course.failed(call, error)
            except BaseException as error:
                call.stopped(error)
                raise
            if call.finished:
                self._keep(prompt, course, call)
                return
        raise course.verdict()

    async def _replay(self, kept: Kept) -> AsyncGenerator[ModelEvent, None]:
        """Give an answer from the cache."""
        candidate = self._choice.first
        announcement = self._announce(candidate, self.why)
        self._ledger.add(
            Attempt(
                provider=candidate.model.provider,
                model=candidate.model.name,
                status=AttemptStatus.ANSWERED,
                why=FROM_CACHE,
                started_at=self._ledger.now(),
                ttft_ms=0,
                usage=Usage(),
                cached=True,
            )
        )
        if announcement is not None:
            yield announcement
        for piece in kept.pieces:
            yield Text(piece)
        yield Finish(FinishReason.STOP, Usage())

    def _course(self, prompt: Prompt) -> Course:
        refs = self._choice.models
        here = (self.provider, self.name)
        return Course(
            choice=self._choice,
            prompt=prompt,
            means=self._means,
            ledger=self._ledger,
            deadline=self._deadline,
            # Who spoke before goes on: its tool calls and its cache are at hand.
            start=refs.index(here) if here in refs else 0,
            why=self.why,
        )

    def _announce(self, candidate: Candidate, why: str) -> Chosen | None:
        speaker = (candidate.model.provider, candidate.model.name)
        if speaker == self._announced:
            return None
        self._announced = speaker
        self.provider, self.name, self.why = *speaker, why
        return Chosen(*speaker, why)

    def _keep(self, prompt: Prompt, course: Course, call: Call) -> None:
        """Keep an answer for the next one who asks the same: only a whole one, of the model first asked."""
        if self._cache is None or call.candidate is not self._choice.first or course.said:
            return
        if call.reason is FinishReason.STOP and not call.called_tools:
            self._cache.put(self._scope, call.candidate.ref, prompt, call.said)


class Chain:
    """A plain model made of several: each call gets its own voice, and whoever can answers."""

    def __init__(self, orchestra: Orchestra, candidates: tuple[Candidate, ...], why: str) -> None:
        """Ask ``candidates`` in this order; there must be one."""
        self._orchestra = orchestra
        self._choice = Choice(candidates, why)
        self.provider = candidates[0].model.provider
        self.name = candidates[0].model.name

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
        """Answer ``prompt`` by whoever can."""
        async with aclosing(self._orchestra.answering(self._choice).stream(prompt)) as events:
            async for event in events:
                yield event
