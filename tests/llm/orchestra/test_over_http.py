"""Real providers that misbehave, over real HTTP: what a reader gets, and what the ledger says of it."""

import asyncio
import time
from collections import Counter
from itertools import count

import aiohttp
import pytest

from parlour.llm.model import Chosen, Finish, Text
from parlour.llm.orchestra.breaker import BreakerRules, State
from parlour.llm.orchestra.fallback import Answering
from parlour.llm.providers.openai_compatible import OpenAICompatible
from parlour.llm.timeouts import Timeouts
from parlour.vocabulary.attempt import AttemptStatus
from parlour.vocabulary.errors import (
    EmptyAnswer,
    NoProvider,
    ProviderError,
    RateLimited,
    Refused,
    TimedOut,
)
from tests.fakes.provider import FakeProvider
from tests.llm.asking import question
from tests.llm.conftest import KEY
from tests.llm.orchestra.playing import Heard, Stage, hear

pytestmark = pytest.mark.anyio

WHOLE = question("Tell me a story.")


class Group:
    """Two providers with real adapters: the first does what a test says, the second answers."""

    def __init__(self, provider: FakeProvider, session: aiohttp.ClientSession) -> None:
        self.provider = provider
        self.session = session
        self.stage = Stage()

    def model(self, name: str, script: str, timeouts: Timeouts | None = None) -> OpenAICompatible:
        """Return an adapter for a provider of this name."""
        return OpenAICompatible(
            session=self.session,
            base_url=self.provider.base_url,
            api_key=KEY,
            model=f"fake:{script}",
            provider=name,
            timeouts=timeouts,
        )

    def answering(
        self, script: str, *, other: str | None = "", timeouts: Timeouts | None = None
    ) -> Answering:
        """Return a voice whose first model does what ``script`` says."""
        models = [self.model("openai", script, timeouts)]
        if other is not None:
            models.append(self.model("anthropic", other))
        return self.stage.answering(*models)


@pytest.fixture
def group(provider: FakeProvider, session: aiohttp.ClientSession) -> Group:
    """Return two providers."""
    return Group(provider, session)


@pytest.fixture
async def story(group: Group) -> str:
    """Return what is said when nothing goes wrong."""
    return (await hear(group.model("openai", ""), WHOLE)).text


@pytest.mark.parametrize(
    ("script", "error", "calls"),
    [
        ("cut", "provider_unreachable", 2),
        ("rst@0", "provider_unreachable", 2),
        ("eof@0", "provider_unreachable", 2),
        ("status=500", "provider_overloaded", 2),
        ("status=503", "provider_overloaded", 2),
        ("status=529", "provider_overloaded", 2),
        ("event=error:overloaded_error", "provider_overloaded", 2),  # F-005
        ("status=429", "provider_rate_limited", 1),
        ("status=429;ra=600", "provider_rate_limited", 1),
        ("status=429;ra=1;code=insufficient_quota", "provider_rate_limited", 1),
        ("status=401", "provider_key", 1),
        ("status=404", "model_missing", 1),
        ("status=422", "provider_rejected", 1),  # F-009
        ("html", "provider_garbled", 1),
        ("empty", "empty_answer", 2),
    ],
)
async def test_before_the_first_word_the_reader_sees_nothing_of_it(
    group: Group, story: str, script: str, error: str, calls: int
) -> None:
    answering = group.answering(script)
    begun = time.monotonic()
    heard = await hear(answering, WHOLE)

    assert (heard.text, heard.error) == (story, None)
    assert time.monotonic() - begun < 1  # P-14; the pause of a retry goes by on the stage's clock
    assert [(line.provider, line.error) for line in answering.ledger] == [
        *[("openai", error)] * calls,
        ("anthropic", None),
    ]
    assert len(group.provider.calls("Tell me a story.")) == calls + 2  # one of them for the story itself


@pytest.mark.parametrize("script", ["rst@7", "eof@7", "event=error:overloaded_error@7", "stall@7"])
async def test_in_the_middle_another_goes_on_without_a_word_twice(
    group: Group, story: str, script: str
) -> None:
    """F-005, F-013, F-014, F-016: a connection may take what had not arrived with it."""
    answering = group.answering(f"dt=0.003;{script}", timeouts=Timeouts(stall=0.2))
    heard = await hear(answering, WHOLE)

    assert (heard.text, heard.error) == (story, None)
    broken, answered = answering.ledger
    assert (broken.status, answered.status) == (AttemptStatus.FAILED, AttemptStatus.ANSWERED)
    assert broken.ttft_ms is not None
    assert broken.usage is not None
    assert broken.usage.estimated
    said = group.provider.requests[-1].messages[-1]
    assert said["role"] == "user" or story.startswith(str(said["content"]))
    assert len(heard.chosen) == 2


async def test_a_stream_that_cannot_be_read_falls_over(group: Group, story: str) -> None:
    """F-018: one spoiled chunk is skipped, a stream of nothing else is not an answer."""
    assert (await hear(group.answering("html"), WHOLE)).text == story
    spoiled = await hear(group.answering("badjson@3"), WHOLE)
    assert spoiled.finished


async def test_alone_the_reader_is_told_when_to_come_back(group: Group) -> None:
    heard = await hear(group.answering("status=429;ra=600", other=None), WHOLE)

    assert isinstance(heard.error, RateLimited)
    assert heard.error.retry_after == 600


async def test_a_short_pause_that_a_provider_asks_for_is_kept(group: Group, story: str) -> None:
    """F-001."""
    answering = group.answering("status=429;ra=2;times=1", other=None)
    heard = await hear(answering, WHOLE)

    assert heard.text == story
    assert group.stage.clock.waits == [2.5]


async def test_the_turn_s_deadline_ends_a_call_that_its_provider_would_let_go_on(group: Group) -> None:
    """P-13: the adapter's own limits are far away."""
    stage = group.stage
    answering = stage.answering(group.model("openai", "ttft=inf"), deadline=stage.clock.now + 0.1)
    heard = await asyncio.wait_for(hear(answering, WHOLE), 5)

    assert isinstance(heard.error, TimedOut)
    assert heard.error.stage == "total"


@pytest.mark.parametrize(
    ("finish", "error", "calls"),
    [
        ("stop", EmptyAnswer, 2),  # the silent chance
        ("length", EmptyAnswer, 1),  # thinking had used up the limit, and would again
        ("content_filter", Refused, 1),
    ],
)
async def test_what_a_wordless_answer_used_is_what_its_provider_says(
    group: Group, finish: str, error: type[ProviderError], calls: int
) -> None:
    answering = group.answering(f"empty;thoughts=300;finish={finish}", other=None)
    heard = await hear(answering, WHOLE)

    assert type(heard.error) is error
    assert [line.error for line in answering.ledger] == [error.code] * calls
    for line in answering.ledger:
        assert line.usage is not None
        assert (line.usage.output_tokens, line.usage.estimated) == (300, False)
    assert answering.usage.output_tokens == 300 * calls


async def test_a_model_that_only_thought_is_told_as_such_or_another_is_asked(
    group: Group, story: str
) -> None:
    script = "empty;thoughts=3;finish=length"
    alone = await hear(group.answering(script, other=None), WHOLE)
    answering = group.answering(script)

    assert "thinking" in str(alone.error)
    assert (await hear(answering, WHOLE)).text == story
    assert [line.error for line in answering.ledger] == ["empty_answer", None]


async def test_a_connection_that_breaks_before_the_first_word_is_paid_for_and_tried_again_once(
    group: Group,
) -> None:
    """The provider had begun: it read the question. What that may cost is set aside for one retry only."""
    answering = group.answering("eof@0", other=None)
    await hear(answering, WHOLE)

    assert [line.error for line in answering.ledger] == ["provider_unreachable"] * 2
    for line in answering.ledger:
        assert line.usage is not None
        assert line.usage.estimated
        assert line.usage.input_tokens > 0


async def test_stopping_closes_the_call_that_runs_now(group: Group) -> None:
    """P-08, also after somebody stepped in."""
    stream = group.answering("status=401", other="n=9000;dt=0.01").stream(WHOLE)
    while not isinstance(await anext(stream), Text):
        pass
    await stream.aclose()
    request = group.provider.requests[-1]

    await asyncio.wait_for(request.ended.wait(), 1)
    assert request.outcome == "reader gone"


async def test_the_breaker_opens_tries_once_and_closes(group: Group) -> None:
    """P-16, with real calls and a clock that is moved."""
    stage = group.stage = Stage(rules=BreakerRules(failures=5))
    number = count()

    async def ask(script: str) -> Heard:
        return await hear(stage.answering(group.model("openai", script)), question(f"{next(number)}"))

    for _ in range(2):
        await ask("status=503")  # each of them with two retries
    name = "fake:status=503"
    assert stage.breakers.of("openai", name).state is State.OPEN
    asked = len(group.provider.requests)

    assert isinstance((await ask("status=503")).error, NoProvider)
    assert len(group.provider.requests) == asked

    stage.clock.now += 10
    await ask("status=503")
    assert len(group.provider.requests) == asked + 1  # one try, and no retry of it
    assert stage.breakers.of("openai", name).snapshot().retry_in == 20


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_provider_that_fails_three_times_in_ten_is_hardly_noticed(group: Group, seed: int) -> None:
    """500 turns in all: each ends in exactly one way, nearly all in an answer, and none says a word twice."""
    stage = group.stage = Stage(rules=BreakerRules(failures=10_000))
    limits = Timeouts(first_token=0.2, stall=0.2)
    flaky = group.model("openai", f"flaky=0.3;seed={seed};n=12;dt=0.001", limits)
    steady = group.model("anthropic", "n=12")
    ends: Counter[str] = Counter()
    gate = asyncio.Semaphore(25)

    async def turn(number: int) -> None:
        prompt = question(f"Question {number}?")
        async with gate:
            answering = stage.answering(flaky, steady)
            heard = await hear(answering, prompt)
            finishes = [event for event in heard.events if isinstance(event, Finish)]
            assert len(finishes) + (heard.error is not None) == 1
            assert isinstance(heard.events[0], Chosen)
            answered = [line for line in answering.ledger if line.status is AttemptStatus.ANSWERED]
            assert len(answered) == len(finishes)
            if heard.error is None:
                expected = (await hear(group.model("gemini", "n=12"), prompt)).text
                assert heard.text == expected
        ends["answered" if heard.error is None else heard.error.code] += 1
        ends["switched"] += len(answering.ledger) > 1

    await asyncio.gather(*(turn(number) for number in range(250)))

    assert ends["answered"] >= 0.99 * 250
    assert ends["switched"] > 30
