"""When a call is made again, and when not (M-4, P-15); through HTTP, with the waiting written down."""

import asyncio
from collections.abc import AsyncGenerator
from typing import ClassVar

import pytest

from parlour.llm.model import Finish, ModelEvent, Prompt, Sources, Text
from parlour.llm.providers.openai_compatible import OpenAICompatible
from parlour.llm.retry import FIRST_BACKOFF, LONGEST_WAIT, RetryBudget, Retrying
from parlour.llm.timeouts import Timeouts
from parlour.vocabulary.errors import (
    EmptyAnswer,
    Overloaded,
    ProviderError,
    RateLimited,
    TimedOut,
    Unreachable,
)
from parlour.vocabulary.messages import FinishReason
from tests.fakes.provider import FakeProvider
from tests.llm.asking import ask, question
from tests.llm.conftest import MakeModel

pytestmark = pytest.mark.anyio


class Waits:
    """Writes down how long it would have slept, and draws the longest jitter there is."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)

    def jitter(self, least: float, most: float) -> float:
        assert least == 0.0
        return most

    def around(self, model: OpenAICompatible, budget: RetryBudget | None = None) -> Retrying:
        """Return the model with retries."""
        return Retrying(model, budget=budget, sleep=self.sleep, jitter=self.jitter)


@pytest.mark.parametrize("status", [408, 409, 425, 500, 502, 503, 504, 529])
async def test_a_failure_that_passes_is_not_seen(
    model: OpenAICompatible, provider: FakeProvider, status: int
) -> None:
    """F-004."""
    waits = Waits()
    answer = await ask(waits.around(model), f"[[status={status};times=2]]")

    assert answer.finish.reason is FinishReason.STOP
    assert len(provider.requests) == 3
    assert waits.seconds == [FIRST_BACKOFF, FIRST_BACKOFF * 2]


async def test_a_failure_that_stays_is_told_after_two_retries(
    model: OpenAICompatible, provider: FakeProvider
) -> None:
    answer = await ask(Waits().around(model), "[[status=503]]")

    assert isinstance(answer.error, Overloaded)
    assert len(provider.requests) == 3


@pytest.mark.parametrize(
    "directive",
    [
        *(f"status={status}" for status in (400, 401, 402, 403, 404, 413, 422, 429)),
        *(f"status=400;code={code}" for code in ("context_length_exceeded", "content_filter")),
        "status=429;ra=1;code=insufficient_quota",
        "html",
        "empty;finish=content_filter",
    ],
)
async def test_what_will_not_pass_is_asked_once(
    model: OpenAICompatible, provider: FakeProvider, directive: str
) -> None:
    answer = await ask(Waits().around(model), f"[[{directive}]]")

    assert answer.error is not None
    assert len(provider.requests) == 1


async def test_a_provider_that_says_when_is_asked_then(
    model: OpenAICompatible, provider: FakeProvider
) -> None:
    """F-001."""
    waits = Waits()
    answer = await ask(waits.around(model), "[[status=429;ra=2;times=1]]")

    assert answer.finish.reason is FinishReason.STOP
    assert waits.seconds == [2 + FIRST_BACKOFF]
    assert len(provider.requests) == 2


@pytest.mark.parametrize("status", [429, 503])
async def test_a_provider_that_says_much_later_is_not_waited_for(
    model: OpenAICompatible, provider: FakeProvider, status: int
) -> None:
    """F-002: the reader learns the time instead."""
    waits = Waits()
    answer = await ask(waits.around(model), f"[[status={status};ra=600]]")

    assert isinstance(answer.error, RateLimited | Overloaded)
    assert answer.error.retry_after == 600 > LONGEST_WAIT
    assert (len(provider.requests), waits.seconds) == (1, [])


async def test_a_connection_that_broke_before_the_first_word_is_made_again(
    model: OpenAICompatible, provider: FakeProvider
) -> None:
    """F-010, F-014."""
    answer = await ask(Waits().around(model), "[[rst@0;times=2]]")

    assert answer.finish.reason is FinishReason.STOP
    assert len(provider.requests) == 3


@pytest.mark.parametrize("directive", ["rst@3", "eof@3", "event=error:overloaded_error@3"])
async def test_after_a_word_was_shown_nothing_is_asked_again(
    model: OpenAICompatible, provider: FakeProvider, directive: str
) -> None:
    """P-14: nothing is ever said twice. The answer comes slowly, so that the words are shown first."""
    answer = await ask(Waits().around(model), f"[[dt=0.01;{directive};times=1]]")

    assert isinstance(answer.error, Unreachable | Overloaded)
    assert answer.text
    assert len(provider.requests) == 1


async def test_a_model_that_thinks_for_too_long_is_not_asked_to_think_again(
    make_model: MakeModel, provider: FakeProvider
) -> None:
    model = make_model(timeouts=Timeouts(first_token=0.1))
    answer = await ask(Waits().around(model), "[[ttft=inf]]")

    assert isinstance(answer.error, TimedOut)
    assert len(provider.requests) == 1


async def test_an_empty_answer_gets_one_silent_chance(
    model: OpenAICompatible, provider: FakeProvider
) -> None:
    """F-021."""
    waits = Waits()
    assert (await ask(waits.around(model), "[[empty;times=1]]")).text
    assert (len(provider.requests), waits.seconds) == (2, [])

    assert isinstance((await ask(waits.around(model), "[[empty]]")).error, EmptyAnswer)
    assert len(provider.requests) == 4


async def test_all_calls_share_a_budget_of_retries(model: OpenAICompatible, provider: FakeProvider) -> None:
    """P-15, F-029: a provider that is down gets a tenth more calls, not three times as many."""
    retrying = Waits().around(model, RetryBudget(share=0.1, reserve=2))
    for number in range(100):
        await ask(retrying, f"{number} [[status=503]]")

    assert len(provider.requests) == 100 + 2 + 10 - 1  # the first call finds the reserve full


async def test_a_call_that_works_is_passed_on_unchanged(
    model: OpenAICompatible, provider: FakeProvider
) -> None:
    retrying = Retrying(model)

    assert (retrying.provider, retrying.name) == (model.provider, model.name)
    assert (await ask(retrying, "Hello?")).events[-1] == (await ask(model, "Hello?")).events[-1]


async def test_stopping_the_outer_stream_stops_the_inner_one(
    model: OpenAICompatible, provider: FakeProvider
) -> None:
    stream = Retrying(model).stream(question("[[n=9000;dt=0.01]]"))
    await anext(stream)
    await stream.aclose()

    await asyncio.wait_for(provider.requests[0].ended.wait(), 1)
    assert provider.requests[0].outcome == "reader gone"


class Scripted:
    """A model that fails with what it is given, one after the other."""

    provider = "scripted"
    name = "scripted"
    said: ClassVar[Text] = Text("at last")

    def __init__(self, *failures: ProviderError, first: ModelEvent | None = None) -> None:
        self.failures = list(failures)
        self.first = first

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:  # noqa: ARG002 - the protocol's
        if self.first is not None:
            yield self.first
        if self.failures:
            raise self.failures.pop(0)
        yield self.said
        yield Finish(FinishReason.STOP)


async def test_sources_count_as_shown() -> None:
    answer = await ask(Retrying(Scripted(Overloaded(), first=Sources(()))), "Hello?")

    assert isinstance(answer.error, Overloaded)


async def test_an_empty_answer_and_failures_do_not_add_up_to_more_chances() -> None:
    waits = Waits()
    failures = [Overloaded(), EmptyAnswer(), TimedOut("connect", 5), Unreachable()]
    model = Scripted(*failures)
    answer = await ask(Retrying(model, sleep=waits.sleep, jitter=waits.jitter), "Hello?")

    assert isinstance(answer.error, Unreachable)
    assert waits.seconds == [FIRST_BACKOFF, FIRST_BACKOFF * 2]
