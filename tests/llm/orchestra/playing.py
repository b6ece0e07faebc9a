"""Models that say what they are told, a clock that moves when somebody sleeps, and an orchestra of them."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from parlour.llm.model import Chosen, Finish, Model, ModelEvent, Prompt, Text
from parlour.llm.orchestra.breaker import BreakerRules
from parlour.llm.orchestra.breakers import Breakers, SharedBreakers
from parlour.llm.orchestra.cached import ResponseCache
from parlour.llm.orchestra.fallback import Answering, Orchestra
from parlour.llm.orchestra.profile import Profile, profile_of
from parlour.llm.orchestra.routing import Candidate, Choice
from parlour.llm.retry import RetryBudget
from parlour.llm.timeouts import Timeouts
from parlour.vocabulary.attempt import Attempt
from parlour.vocabulary.errors import ProviderError
from parlour.vocabulary.messages import FinishReason

STOP = Finish(FinishReason.STOP)
ABLE = Profile(100_000, 8_000, tools=True, images=True)


class Clock:
    """Seconds that only go by when somebody waits, with the longest jitter there is."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    def jitter(self, least: float, most: float) -> float:
        assert least == 0.0
        return most


Line = Sequence[str | ModelEvent | ProviderError]


class Scripted:
    """Plays one line after the other, the last one for ever. A line is text, events, or an error to raise."""

    def __init__(self, provider: str, *lines: Line, name: str = "large") -> None:
        self.provider = provider
        self.name = name
        self.lines = list(lines)
        self.prompts: list[Prompt] = []
        self.closed = 0

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
        self.prompts.append(prompt)
        line = self.lines.pop(0) if len(self.lines) > 1 else self.lines[0]
        try:
            for each in line:
                await asyncio.sleep(0)
                if isinstance(each, ProviderError):
                    raise each
                yield Text(each) if isinstance(each, str) else each
        finally:
            self.closed += 1


@dataclass
class Heard:
    """Everything that came of asking."""

    events: list[ModelEvent] = field(default_factory=list)
    error: ProviderError | None = None

    @property
    def text(self) -> str:
        return "".join(event.content for event in self.events if isinstance(event, Text))

    @property
    def chosen(self) -> list[Chosen]:
        return [event for event in self.events if isinstance(event, Chosen)]

    @property
    def finished(self) -> bool:
        return isinstance(self.events[-1], Finish)


class Stage:
    """An orchestra with a clock of its own."""

    def __init__(
        self,
        *,
        rules: BreakerRules | None = None,
        budget: RetryBudget | None = None,
        shared: SharedBreakers | None = None,
        timeouts: Timeouts | None = None,
        cache: ResponseCache | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.clock = clock or Clock()
        self.breakers = Breakers(rules, clock=self.clock, shared=shared)
        self.heard: list[Attempt] = []
        self.orchestra = Orchestra(
            breakers=self.breakers,
            budget=budget,
            timeouts=timeouts,
            cache=cache,
            heard=self.heard.append,
            clock=self.clock,
            sleep=self.clock.sleep,
            jitter=self.clock.jitter,
        )

    def answering(
        self, *models: Model, why: str = "You asked for it.", deadline: float | None = None
    ) -> Answering:
        """Return the voice of these models, asked in this order."""
        return self.orchestra.answering(choice(*models, why=why), deadline)


def candidates(*models: Model, profile: Profile = ABLE) -> tuple[Candidate, ...]:
    """Return models that can do everything; the built-in answerer can what it can."""
    return tuple(
        Candidate(each, profile_of("builtin", "") if each.provider == "builtin" else profile)
        for each in models
    )


def choice(*models: Model, why: str = "You asked for it.") -> Choice:
    """Return a choice of these models in this order."""
    return Choice(candidates(*models), why)


async def hear(model: Model, prompt: Prompt) -> Heard:
    """Collect the whole answer; a failure is a part of it."""
    heard = Heard()
    try:
        async with aclosing(model.stream(prompt)) as events:
            async for event in events:
                heard.events.append(event)
    except ProviderError as error:
        heard.error = error
    return heard
