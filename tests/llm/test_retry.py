"""When a call is made again, and when not (M-4, P-15); through HTTP, with the waiting written down."""

import pytest

from parlour.llm.orchestra.breaker import BreakerRules
from parlour.llm.providers.openai_compatible import OpenAICompatible
from parlour.llm.retry import FIRST_BACKOFF, LONGEST_WAIT, RetryBudget
from parlour.llm.timeouts import Timeouts
from parlour.vocabulary.errors import EmptyAnswer, Overloaded, RateLimited, TimedOut, Unreachable
from parlour.vocabulary.messages import FinishReason
from tests.fakes.provider import FakeProvider
from tests.llm.asking import Answer, ask, question
from tests.llm.conftest import MakeModel
from tests.llm.orchestra.playing import Stage

pytestmark = pytest.mark.anyio


class Alone:
    """A voice of one model: nobody can step in, so the retries are all there is."""

    def __init__(self, model: OpenAICompatible, budget: RetryBudget | None = None) -> None:
        self.stage = Stage(budget=budget, rules=BreakerRules(failures=10_000))
        self.model = model

    async def ask(self, text: str) -> Answer:
        return await ask(self.stage.answering(self.model), question(text))

    @property
    def waits(self) -> list[float]:
        return self.stage.clock.waits


@pytest.fixture
def alone(model: OpenAICompatible) -> Alone:
    """Return the model of the fake provider, with retries."""
    return Alone(model)


@pytest.mark.parametrize("status", [408, 409, 425, 500, 502, 503, 504, 529])
async def test_a_failure_that_passes_is_not_seen(alone: Alone, provider: FakeProvider, status: int) -> None:
    """F-004."""
    answer = await alone.ask(f"[[status={status};times=2]]")

    assert answer.finish.reason is FinishReason.STOP
    assert len(provider.requests) == 3
    assert alone.waits == [FIRST_BACKOFF, FIRST_BACKOFF * 2]


async def test_a_failure_that_stays_is_told_after_two_retries(alone: Alone, provider: FakeProvider) -> None:
    answer = await alone.ask("[[status=503]]")

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
async def test_what_will_not_pass_is_asked_once(alone: Alone, provider: FakeProvider, directive: str) -> None:
    answer = await alone.ask(f"[[{directive}]]")

    assert answer.error is not None
    assert len(provider.requests) == 1


async def test_a_provider_that_says_when_is_asked_then(alone: Alone, provider: FakeProvider) -> None:
    """F-001."""
    answer = await alone.ask("[[status=429;ra=2;times=1]]")

    assert answer.finish.reason is FinishReason.STOP
    assert alone.waits == [2 + FIRST_BACKOFF]
    assert len(provider.requests) == 2


@pytest.mark.parametrize("status", [429, 503])
async def test_a_provider_that_says_much_later_is_not_waited_for(
    alone: Alone, provider: FakeProvider, status: int
) -> None:
    """F-002: the reader learns the time instead."""
    answer = await alone.ask(f"[[status={status};ra=600]]")

    assert isinstance(answer.error, RateLimited | Overloaded)
    assert answer.error.retry_after == 600 > LONGEST_WAIT
    assert (len(provider.requests), alone.waits) == (1, [])


@pytest.mark.parametrize(
    ("directive", "times"),
    [
        ("cut", 2),
        ("rst@0", 1),  # the provider had begun and may have to be paid: that is risked only once
    ],
)
async def test_a_connection_that_broke_before_the_first_word_is_made_again(
    alone: Alone, provider: FakeProvider, directive: str, times: int
) -> None:
    """F-010, F-014."""
    answer = await alone.ask(f"[[{directive};times={times}]]")

    assert answer.finish.reason is FinishReason.STOP
    assert len(provider.requests) == times + 1


@pytest.mark.parametrize("directive", ["rst@3", "eof@3", "event=error:overloaded_error@3"])
async def test_after_a_word_was_shown_nothing_is_asked_again(
    alone: Alone, provider: FakeProvider, directive: str
) -> None:
    """P-14: nothing is ever said twice. The answer comes slowly, so that the words are shown first."""
    answer = await alone.ask(f"[[dt=0.01;{directive};times=1]]")

    assert isinstance(answer.error, Unreachable | Overloaded)
    assert answer.text
    assert len(provider.requests) == 1


async def test_a_model_that_thinks_for_too_long_is_not_asked_to_think_again(
    make_model: MakeModel, provider: FakeProvider
) -> None:
    answer = await Alone(make_model(timeouts=Timeouts(first_token=0.1))).ask("[[ttft=inf]]")

    assert isinstance(answer.error, TimedOut)
    assert len(provider.requests) == 1


async def test_an_empty_answer_gets_one_silent_chance(alone: Alone, provider: FakeProvider) -> None:
    """F-021."""
    assert (await alone.ask("[[empty;times=1]]")).text
    assert (len(provider.requests), sum(alone.waits)) == (2, 0)

    assert isinstance((await alone.ask("[[empty]]")).error, EmptyAnswer)
    assert len(provider.requests) == 4


async def test_all_calls_share_a_budget_of_retries(model: OpenAICompatible, provider: FakeProvider) -> None:
    """P-15, F-029: a provider that is down gets a tenth more calls, not three times as many."""
    alone = Alone(model, RetryBudget(share=0.1, reserve=2))
    for number in range(100):
        await alone.ask(f"{number} [[status=503]]")

    assert len(provider.requests) == 100 + 2 + 10 - 1  # the first call finds the reserve full
