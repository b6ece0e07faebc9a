"""Who steps in, when, and what the reader and the ledger see of it (M-4, M-6, P-13 to P-16)."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parlour.llm.model import Chosen, Finish, Image, ModelEvent, Prompt, Sources, Text, ToolCall, Turn
from parlour.llm.orchestra.breaker import BreakerRules, State
from parlour.llm.orchestra.ledger import THINKING_SPEED
from parlour.llm.orchestra.profile import Profile
from parlour.llm.orchestra.routing import Candidate, Choice, PassedOver
from parlour.llm.retry import FIRST_BACKOFF, RetryBudget
from parlour.llm.timeouts import Timeouts
from parlour.vocabulary.attempt import AttemptStatus
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
from parlour.vocabulary.messages import FinishReason
from parlour.vocabulary.usage import Usage
from tests.llm.asking import question
from tests.llm.orchestra.playing import ABLE, STOP, Scripted, Stage, candidates, choice, hear

pytestmark = pytest.mark.anyio

ANSWER = "Everybody remembered later how quietly the long story of the seven bridges had ended."
QUESTION = question("How did it end?", max_tokens=1000)


def good(provider: str = "anthropic", answer: str = ANSWER) -> Scripted:
    return Scripted(provider, [answer, STOP])


@pytest.mark.parametrize(
    "error",
    [
        BadKey(),
        ModelMissing(),
        Unreachable(),
        Overloaded(),
        RateLimited(),
        RateLimited(retry_after=600),
        TimedOut("connect", 5),
        TimedOut("first_token", 30),
        EmptyAnswer(),
        Garbled(),
        Rejected(),
        ProviderError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_before_the_first_word_a_failure_is_not_seen(error: ProviderError) -> None:
    """F-002, F-004, F-008, F-010, F-021."""
    stage = Stage()
    answering = stage.answering(Scripted("openai", [error]), good())
    heard = await hear(answering, QUESTION)

    assert (heard.text, heard.error, heard.finished) == (ANSWER, None, True)
    assert [(each.provider, each.model) for each in heard.chosen] == [
        ("openai", "large"),
        ("anthropic", "large"),
    ]
    assert sum(stage.clock.waits) <= 1  # P-14
    assert (answering.provider, answering.name, answering.why) == (
        "anthropic",
        "large",
        heard.chosen[-1].why,
    )
    assert [line.status for line in answering.ledger][-1] is AttemptStatus.ANSWERED
    assert {line.error for line in answering.ledger[:-1]} == {error.code}
    assert stage.heard == answering.ledger


async def test_the_reader_is_told_why_another_one_answers() -> None:
    heard = await hear(Stage().answering(Scripted("openai", [Overloaded()]), good()), QUESTION)

    assert heard.chosen == [
        Chosen("openai", "large", "You asked for it."),
        Chosen("anthropic", "large", "OpenAI is busy, so Anthropic was asked."),
    ]


async def test_who_declined_is_not_gone_round() -> None:
    other = good()
    heard = await hear(Stage().answering(Scripted("openai", [Refused()]), other), QUESTION)

    assert isinstance(heard.error, Refused)
    assert other.prompts == []


async def test_what_was_too_long_goes_only_to_those_who_read_more() -> None:
    """F-006."""
    small, large = good("gemini"), good("anthropic")
    group = Choice(
        (
            Candidate(Scripted("openai", [ContextTooLong()]), Profile(50_000, 4_000)),
            Candidate(small, Profile(50_000, 4_000)),
            Candidate(large, Profile(200_000, 4_000)),
        ),
        "You asked for it.",
    )
    answering = Stage().orchestra.answering(group)
    heard = await hear(answering, QUESTION)

    assert heard.text == ANSWER
    assert small.prompts == []
    assert [line.status for line in answering.ledger] == [
        AttemptStatus.FAILED,
        AttemptStatus.SKIPPED,
        AttemptStatus.ANSWERED,
    ]


async def test_what_two_reject_a_third_is_not_asked() -> None:
    third = good()
    stage = Stage()
    heard = await hear(
        stage.answering(Scripted("openai", [Rejected()]), Scripted("gemini", [Rejected()]), third), QUESTION
    )

    assert isinstance(heard.error, Rejected)
    assert third.prompts == []


@settings(max_examples=150, deadline=None)
@given(
    cut=st.integers(1, len(ANSWER)),
    manner=st.sampled_from(["exactly", "again", "overlapping"]),
    size=st.integers(1, 9),
    error=st.sampled_from([Unreachable(), Overloaded(), TimedOut("stall", 30)]),
)
def test_in_the_middle_another_goes_on_and_no_word_comes_twice(
    cut: int, manner: str, size: int, error: ProviderError
) -> None:
    """F-013, F-014: wherever the first one breaks off, and however the next one goes on."""
    said, rest = ANSWER[:cut], ANSWER[cut:]
    last = said.rstrip().rfind(" ", 0, max(0, cut - 40)) + 1
    spoken = {"exactly": rest, "again": ANSWER, "overlapping": said[last:] + rest}[manner]
    other = Scripted("anthropic", [*(spoken[at : at + size] for at in range(0, len(spoken), size)), STOP])
    answering = Stage().answering(Scripted("openai", [said, error]), other)
    heard = asyncio.run(hear(answering, QUESTION))

    assert heard.error is None
    assert heard.text == ANSWER
    assert other.prompts[0].partial == said
    assert heard.chosen[-1].why == "OpenAI broke off, so Anthropic went on."


async def test_what_was_said_before_a_restart_is_not_said_again_either() -> None:
    """A run that another process takes up begins with a partial answer."""
    heard = await hear(Stage().answering(good(answer=ANSWER)), question("?", partial=ANSWER[:50]))

    assert heard.text == ANSWER[50:]


async def test_two_breaks_in_one_answer() -> None:
    models = (
        Scripted("openai", [ANSWER[:20], Unreachable()]),
        Scripted("gemini", [ANSWER[20:45], Unreachable()]),
        Scripted("anthropic", [ANSWER, STOP]),
    )
    answering = Stage().answering(*models)
    heard = await hear(answering, QUESTION)

    assert heard.text == ANSWER
    assert models[2].prompts[0].partial == ANSWER[:45]
    assert models[2].prompts[0].max_tokens is not None
    assert models[2].prompts[0].max_tokens < 1000  # what was said counts
    assert [line.status for line in answering.ledger] == [AttemptStatus.FAILED] * 2 + [AttemptStatus.ANSWERED]


async def test_what_nobody_can_go_on_with_stays_said() -> None:
    builtin = good("builtin")
    answering = Stage().answering(Scripted("openai", [ANSWER[:20], Unreachable()]), builtin)
    heard = await hear(answering, QUESTION)

    assert (heard.text, type(heard.error)) == (ANSWER[:20], Unreachable)
    assert builtin.prompts == []  # it quotes documents and cannot end another's sentence
    assert "cannot go on" in answering.ledger[-1].why


async def test_the_same_model_is_not_asked_again_after_a_word() -> None:
    alone = Scripted("openai", [ANSWER[:20], Unreachable()])
    heard = await hear(Stage().answering(alone), QUESTION)

    assert (heard.text, len(alone.prompts)) == (ANSWER[:20], 1)


async def test_tools_of_a_call_that_broke_off_are_not_called() -> None:
    """N1: what is called has effects; the one who answers in the end calls them, once."""
    call = ToolCall("1", "look_up", "{}")
    asked = Finish(FinishReason.TOOL_CALLS)
    answering = Stage().answering(
        Scripted("openai", ["Let me see. ", call, Unreachable()]),
        Scripted("anthropic", ["Let me see. ", call, asked]),
    )
    heard = await hear(answering, QUESTION)

    assert [event for event in heard.events if isinstance(event, ToolCall)] == [call]
    assert heard.events[-2:] == [call, asked]


async def test_who_called_the_tools_gets_their_results() -> None:
    call = ToolCall("1", "look_up", "{}")
    broken = Scripted("openai", [Unreachable()])
    caller = Scripted("anthropic", [call, Finish(FinishReason.TOOL_CALLS)], [ANSWER, STOP])
    answering = Stage().answering(broken, caller)
    first, second = await hear(answering, QUESTION), await hear(answering, QUESTION)

    assert len(first.chosen) == 2
    assert second.chosen == []  # nobody else speaks
    assert second.text == ANSWER
    assert len(caller.prompts) == 2
    assert len(answering.ledger) == 4  # two tries of the first, two calls of the second


async def test_sources_pass() -> None:
    heard = await hear(Stage().answering(Scripted("builtin", [Sources(()), "Found it.", STOP])), QUESTION)

    assert heard.events[1] == Sources(())


# --- retries (P-15) ---


@pytest.mark.parametrize("error", [Overloaded(), Unreachable(), TimedOut("connect", 5)])
async def test_who_is_alone_is_asked_again_twice(error: ProviderError) -> None:
    stage, alone = Stage(), Scripted("openai", [error])
    answering = stage.answering(alone)
    heard = await hear(answering, QUESTION)

    assert type(heard.error) is type(error)
    assert stage.clock.waits == [FIRST_BACKOFF, FIRST_BACKOFF * 2]
    assert [line.status for line in answering.ledger] == [AttemptStatus.FAILED] * 3
    assert len(heard.chosen) == 1


async def test_with_somebody_at_hand_there_is_one_quick_retry() -> None:
    stage, first = Stage(), Scripted("openai", [Overloaded()])
    await hear(stage.answering(first, good()), QUESTION)

    assert (len(first.prompts), stage.clock.waits) == (2, [FIRST_BACKOFF])


async def test_seconds_that_a_connection_took_are_not_spent_twice() -> None:
    first = Scripted("openai", [TimedOut("connect", 5)])
    await hear(Stage().answering(first, good()), QUESTION)

    assert len(first.prompts) == 1


@pytest.mark.parametrize(
    ("wait", "others", "calls", "waited"),
    [
        (2.0, False, 2, [2.5]),  # F-001
        (2.0, True, 1, []),
        (600.0, False, 1, []),  # F-002
        (None, False, 1, []),
        (0.2, True, 2, [0.7]),
    ],
)
async def test_a_provider_that_asks_to_slow_down_gets_it(
    wait: float | None,
    others: bool,  # noqa: FBT001 - a case of the table
    calls: int,
    waited: list[float],
) -> None:
    stage = Stage()
    first = Scripted("openai", [RateLimited(retry_after=wait)], [ANSWER, STOP])
    heard = await hear(stage.answering(first, *([good()] if others else [])), QUESTION)

    assert (len(first.prompts), stage.clock.waits) == (calls, waited)
    if wait == 600:
        assert isinstance(heard.error, RateLimited)
        assert heard.error.retry_after == 600
    elif wait is not None:
        assert heard.text == ANSWER


async def test_an_empty_answer_gets_one_silent_chance() -> None:
    stage, alone = Stage(), Scripted("openai", [EmptyAnswer()])
    heard = await hear(stage.answering(alone), QUESTION)

    assert isinstance(heard.error, EmptyAnswer)
    assert (len(alone.prompts), sum(stage.clock.waits)) == (2, 0)


async def test_of_calls_that_must_be_paid_for_one_in_an_answer_is_made_again() -> None:
    """B-4: so much is set aside. What no provider took may be asked for again as before."""
    first, second = Scripted("openai", [EmptyAnswer()]), Scripted("anthropic", [EmptyAnswer()])
    await hear(Stage().answering(first, second), QUESTION)
    assert (len(first.prompts), len(second.prompts)) == (2, 1)

    broken = Unreachable()
    broken.taken = True
    alone = Scripted("openai", [broken])
    await hear(Stage().answering(alone), QUESTION)
    assert len(alone.prompts) == 2


async def test_all_models_share_one_budget_of_retries() -> None:
    """F-029: a provider that is down gets a tenth more calls."""
    stage = Stage(budget=RetryBudget(share=0.1, reserve=2), rules=BreakerRules(failures=10_000))
    first = Scripted("openai", [Overloaded()])
    for _ in range(100):
        await hear(stage.answering(first), QUESTION)

    assert 100 < len(first.prompts) <= 100 + 2 + 10


async def test_a_provider_that_flaps_is_left_alone_and_nobody_notices() -> None:
    """F-029: half of its calls fail, 50 turns a second for a minute."""
    stage, dice = Stage(), Random(7)
    steady = good()

    class Flapping(Scripted):
        def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
            self.lines = [[Overloaded()] if dice.random() < 0.5 else [ANSWER, STOP]]
            return super().stream(prompt)

    flapping = Flapping("openai")
    begun, opened_after = stage.clock.now, None
    turns = retries = 0
    while stage.clock.now < begun + 60:
        answering = stage.answering(flapping, steady)
        heard = await hear(answering, QUESTION)
        assert heard.text == ANSWER
        turns += 1
        asked = [line for line in answering.ledger if line.status is not AttemptStatus.SKIPPED]
        retries += max(0, sum(line.provider == "openai" for line in asked) - 1)
        if opened_after is None and stage.breakers.of("openai", "large").state is State.OPEN:
            opened_after = stage.clock.now - begun
        stage.clock.now += 0.02

    assert opened_after is not None
    assert opened_after <= 30
    assert retries <= 10 + 0.1 * turns
    assert len(flapping.prompts) < turns / 2


# --- when nobody can ---


async def test_the_reader_hears_the_most_telling_of_several_errors() -> None:
    answering = Stage().answering(
        Scripted("openai", [BadKey(cause="no such key")]),
        Scripted("gemini", [RateLimited(retry_after=90)]),
        Scripted("anthropic", [RateLimited(retry_after=40)]),
        Scripted("ollama", [Garbled()]),
    )
    heard = await hear(answering, QUESTION)

    assert isinstance(heard.error, RateLimited)
    assert heard.error.retry_after == 40
    assert heard.error.cause is not None
    assert "openai/large: no such key" in heard.error.cause
    assert "no such key" not in str(heard.error)
    assert [line.error for line in answering.ledger] == [
        "provider_key",
        "provider_rate_limited",
        "provider_rate_limited",
        "provider_garbled",
    ]


async def test_when_all_rest_it_is_said_at_once() -> None:
    """F-028."""
    stage = Stage(rules=BreakerRules(failures=1))
    models = Scripted("openai", [Garbled()]), Scripted("anthropic", [Garbled()])
    await hear(stage.answering(*models), QUESTION)
    answering = stage.answering(*models)
    heard = await hear(answering, QUESTION)

    assert isinstance(heard.error, NoProvider)
    assert heard.error.retry_after == 10
    assert [line.status for line in answering.ledger] == [AttemptStatus.SKIPPED] * 2
    assert [len(each.prompts) for each in models] == [1, 1]
    assert answering.cost_usd == 0


async def test_a_short_pause_is_waited_for_when_nobody_else_is_there() -> None:
    stage = Stage()
    alone = Scripted("openai", [ANSWER, STOP])
    stage.breakers.of("openai", "large").failed(
        stage.breakers.of("openai", "large").enter(), RateLimited(retry_after=3)
    )
    heard = await hear(stage.answering(alone), QUESTION)

    assert heard.text == ANSWER
    assert stage.clock.waits == [3 + FIRST_BACKOFF]


async def test_a_long_pause_is_told() -> None:
    stage = Stage()
    breaker = stage.breakers.of("openai", "large")
    breaker.failed(breaker.enter(), RateLimited(retry_after=60))
    heard = await hear(stage.answering(Scripted("openai", [ANSWER, STOP])), QUESTION)

    assert isinstance(heard.error, RateLimited)
    assert heard.error.retry_after == 60
    assert stage.clock.waits == []


# --- one deadline over all ---


class Slow(Scripted):
    """Takes its time, and gives up when what it was given is over."""

    def __init__(self, stage: Stage, provider: str, seconds: float) -> None:
        super().__init__(provider, [TimedOut("first_token", seconds)])
        self.stage, self.seconds = stage, seconds

    def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
        assert prompt.time_left is not None
        self.stage.clock.now += min(self.seconds, prompt.time_left)
        if prompt.time_left <= self.seconds:
            self.lines = [[TimedOut("total", prompt.time_left)]]
        return super().stream(prompt)


async def test_all_attempts_share_one_deadline() -> None:
    stage = Stage(timeouts=Timeouts(total=50))
    models = [Slow(stage, name, 30) for name in ("openai", "gemini", "anthropic")]
    begun = stage.clock.now
    heard = await hear(stage.answering(*models), QUESTION)

    assert isinstance(heard.error, TimedOut)
    assert stage.clock.now - begun <= 50
    assert [each.prompts[0].time_left for each in models[:2]] == [50, 20]
    assert models[2].prompts == []
    # Who was cut off by us did not fail.
    assert stage.breakers.of("gemini", "large").snapshot().failures == 0
    assert stage.breakers.of("openai", "large").snapshot().failures == 1


async def test_a_deadline_may_be_given() -> None:
    stage = Stage()
    model = good()
    await hear(stage.answering(model, deadline=stage.clock.now + 7), QUESTION)
    late = await hear(stage.answering(model, deadline=stage.clock.now), QUESTION)

    assert model.prompts[0].time_left == 7
    assert isinstance(late.error, TimedOut)


# --- whoever asks goes away ---


async def test_a_stopped_answer_is_in_the_ledger_with_what_it_used() -> None:
    stage = Stage()
    model = Scripted("openai", [ANSWER, ANSWER, STOP], name="gpt-4o")
    answering = stage.answering(model)
    async with aclosing(answering.stream(QUESTION)) as events:
        async for event in events:
            if isinstance(event, Text):
                break

    [line] = answering.ledger
    assert line.status is AttemptStatus.STOPPED
    assert line.usage is not None
    assert line.usage.estimated
    assert line.usage.output_tokens > 10
    assert line.cost_usd is not None
    assert line.cost_usd > 0
    assert model.closed == 1
    assert stage.breakers.of("openai", "gpt-4o").snapshot().calls == 0


@pytest.mark.parametrize(("seconds", "thought"), [(0, 0), (2, 2 * THINKING_SPEED), (600, 1000)])
async def test_who_stops_before_the_first_word_pays_for_what_may_have_been_thought(
    seconds: float, thought: int
) -> None:
    """B-4: up to the limit that the model was given."""
    stage = Stage()
    asked, never = asyncio.Event(), asyncio.Event()

    class Thinking(Scripted):
        async def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
            self.prompts.append(prompt)
            asked.set()
            await never.wait()
            yield STOP

    answering = stage.answering(Thinking("openai", []))
    task = asyncio.create_task(hear(answering, QUESTION))
    await asked.wait()
    stage.clock.now += seconds
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    [line] = answering.ledger
    assert line.usage is not None
    assert line.usage.input_tokens > 0
    assert (line.usage.output_tokens, line.usage.estimated) == (thought, True)


async def test_a_picture_that_nobody_counted_is_charged_as_the_model_counts_the_largest() -> None:
    pictured = replace(QUESTION, turns=(Turn("user", "?", images=(Image("image/png", b"1"),)),))
    silent = Scripted("anthropic", [ANSWER, STOP], name="claude-sonnet-5-5")
    plain, seeing = Stage().answering(silent), Stage().answering(silent)
    await hear(plain, replace(QUESTION, turns=(Turn("user", "?"),)))
    await hear(seeing, pictured)

    assert seeing.usage.input_tokens - plain.usage.input_tokens == 4_784


@pytest.mark.parametrize("error", [Overloaded(), Garbled(), Unreachable()])
async def test_a_failure_costs_what_its_provider_said_that_it_used(error: ProviderError) -> None:
    error.usage = Usage(100, 8_192)
    answering = Stage().answering(Scripted("openai", [error]))
    await hear(answering, QUESTION)

    assert {line.usage for line in answering.ledger} == {error.usage}


async def test_who_goes_away_before_anybody_was_asked_leaves_no_line() -> None:
    answering = Stage().answering(good())
    stream = answering.stream(QUESTION)
    assert isinstance(await anext(stream), Chosen)
    await stream.aclose()

    assert answering.ledger == []


async def test_a_cancelled_answer_is_in_the_ledger_too() -> None:
    stage, asked, never = Stage(), asyncio.Event(), asyncio.Event()

    class Silent(Scripted):
        async def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
            self.prompts.append(prompt)
            asked.set()
            await never.wait()
            yield STOP

    model = Silent("openai", [])
    answering = stage.answering(model)
    task = asyncio.create_task(hear(answering, QUESTION))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert [line.status for line in answering.ledger] == [AttemptStatus.STOPPED]


async def test_a_stop_counts_neither_way_but_gives_the_try_back() -> None:
    """P-16."""
    stage = Stage(rules=BreakerRules(failures=1))
    broken = Scripted("openai", [Garbled()], ["", "never", STOP], [ANSWER, STOP])
    await hear(stage.answering(broken), QUESTION)
    stage.clock.now += 10
    trying = stage.answering(broken).stream(QUESTION)
    assert isinstance(await anext(trying), Chosen)
    waiting = await hear(stage.answering(broken), QUESTION)
    await trying.aclose()
    healed = await hear(stage.answering(broken), QUESTION)

    assert isinstance(waiting.error, NoProvider)  # one try at a time
    assert len(broken.prompts) == 2  # the one that was given up had not been sent
    assert healed.error is None


async def test_closing_after_the_end_is_no_stop() -> None:
    answering = Stage().answering(good())
    async with aclosing(answering.stream(QUESTION)) as events:
        async for event in events:
            if isinstance(event, Finish):
                break

    assert [line.status for line in answering.ledger] == [AttemptStatus.ANSWERED]


async def test_an_error_of_ours_is_in_the_ledger_and_goes_up() -> None:
    class Broken(Scripted):
        def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
            raise ValueError("a mistake", prompt)

    answering = Stage().answering(Broken("openai", []), good())
    with pytest.raises(ValueError, match="a mistake"):
        await hear(answering, QUESTION)

    assert [(line.status, line.error) for line in answering.ledger] == [
        (AttemptStatus.FAILED, "internal_error")
    ]


# --- the ledger ---


async def test_who_was_passed_over_stands_first_in_the_ledger() -> None:
    over = PassedOver("gemini", "flash", "Gemini is not answering at the moment")
    chosen = Choice(candidates(good()), "Gemini is not answering at the moment, so …", passed_over=(over,))
    answering = Stage().orchestra.answering(chosen)
    await hear(answering, QUESTION)

    assert [(line.provider, line.status) for line in answering.ledger] == [
        ("gemini", AttemptStatus.SKIPPED),
        ("anthropic", AttemptStatus.ANSWERED),
    ]


async def test_usage_and_cost_are_those_of_all_calls() -> None:
    used = Usage(1_000_000, 100_000)
    answering = Stage().answering(
        Scripted("openai", [ANSWER[:30], Unreachable()], name="gpt-4o"),
        Scripted("openai", [ANSWER, Finish(FinishReason.STOP, used)], name="gpt-4o-mini"),
    )
    await hear(answering, QUESTION)
    broken, answered = answering.ledger

    assert broken.usage is not None
    assert broken.usage.estimated
    assert answered.usage == used
    assert answered.cost_usd == Decimal("0.15") + Decimal("0.06")
    assert answering.cost_usd == (broken.cost_usd or 0) + answered.cost_usd
    assert answering.usage.input_tokens == broken.usage.input_tokens + 1_000_000
    assert answering.usage.estimated


async def test_what_a_provider_never_took_costs_nothing_and_what_is_unknown_is_not_zero() -> None:
    answering = Stage().answering(Scripted("openai", [BadKey()]), good("nobody"))
    await hear(answering, QUESTION)

    assert [line.cost_usd for line in answering.ledger] == [0, None]
    assert answering.cost_usd is None


@pytest.mark.parametrize(
    ("profile", "told", "most"),
    [
        (Profile(100_000, 8_000), 3_000, 1_000),
        (Profile(100_000, 500), 3_000, 500),
        (Profile(3_600, 2_000), 3_000, 600),
        (Profile(2_000, 1_000), 3_000, 500),  # an estimate, on the safe side
    ],
)
async def test_a_model_gets_no_more_tokens_than_it_can_write(profile: Profile, told: int, most: int) -> None:
    model = good()
    group = Choice((Candidate(model, profile),), "", prompt_tokens=told)
    await hear(Stage().orchestra.answering(group), QUESTION)

    assert model.prompts[0].max_tokens == most


# --- small work ---


async def test_small_work_has_its_own_voice_for_each_call() -> None:
    stage = Stage()
    broken, other = Scripted("openai", [Overloaded()]), good()
    model = stage.orchestra.model(candidates(broken, other), "Small work.")

    assert (model.provider, model.name) == ("openai", "large")
    for _ in range(2):
        assert (await hear(model, QUESTION)).text == ANSWER
    assert [line.status for line in stage.heard].count(AttemptStatus.ANSWERED) == 2


async def test_closing_small_work_closes_the_call() -> None:
    stage, model = Stage(), good()
    stream = stage.orchestra.model(candidates(model), "Small work.").stream(QUESTION)
    await anext(stream)
    await anext(stream)
    await stream.aclose()

    assert model.closed == 1
    assert choice(model).first.profile is ABLE
