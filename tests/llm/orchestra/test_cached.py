"""Answers that were given before (M-9): exact, bounded, and nobody else's."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from parlour.llm.model import Chosen, Finish, Image, ModelEvent, Prompt, Text, Tool, ToolCall, Turn
from parlour.llm.orchestra.cached import OVERHEAD, ResponseCache
from parlour.vocabulary.attempt import AttemptStatus
from parlour.vocabulary.citation import Passage
from parlour.vocabulary.errors import Unreachable
from parlour.vocabulary.messages import FinishReason
from parlour.vocabulary.usage import Usage
from tests.llm.asking import question
from tests.llm.orchestra.playing import STOP, Clock, Heard, Line, Scripted, Stage, choice, hear

pytestmark = pytest.mark.anyio

QUESTION = question("How did it end?")
USED = Finish(FinishReason.STOP, Usage(1000, 100))


class House:
    """An orchestra with a cache, and one model."""

    def __init__(self, *lines: Line) -> None:
        self.clock = Clock()
        self.cache = ResponseCache(clock=self.clock, seconds=60)
        self.stage = Stage(cache=self.cache, clock=self.clock)
        self.model = Scripted("openai", *(lines or [["It ended ", "well.", USED]]), name="gpt-4o")

    async def ask(self, prompt: Prompt = QUESTION, scope: str | None = "ann") -> Heard:
        self.answering = self.stage.orchestra.answering(choice(self.model), scope=scope)
        return await hear(self.answering, prompt)

    @property
    def calls(self) -> int:
        return len(self.model.prompts)


async def test_the_second_one_who_asks_gets_the_same_answer_for_nothing() -> None:
    house = House()
    first = await house.ask()
    again = await house.ask()

    assert (house.calls, house.cache.hits, house.cache.misses) == (1, 1, 1)
    assert (
        again.events[:-1]
        == first.events[:-1]
        == [
            Chosen("openai", "gpt-4o", "You asked for it."),
            Text("It ended "),
            Text("well."),
        ]
    )
    assert again.events[-1] == Finish(FinishReason.STOP, Usage())
    [line] = house.answering.ledger
    assert line.status is AttemptStatus.ANSWERED
    assert line.cached
    assert line.cost_usd == 0
    assert line.why == "The same question was answered before."
    assert house.answering.cost_usd == 0


async def test_nobody_gets_the_answers_of_somebody_else() -> None:
    house = House()
    await house.ask(scope="ann")
    await house.ask(scope="bob")
    await house.ask(scope=None)
    await house.ask(scope=None)

    assert (house.calls, house.cache.hits) == (4, 0)


PASSAGE = Passage(id="1", document_id="1", document_title="Rules", title_path=("Rules",), text="Be kind.")


@pytest.mark.parametrize(
    "other",
    [
        replace(QUESTION, system="You are unkind."),
        replace(QUESTION, turns=(Turn("user", "How did it end? "),)),
        replace(QUESTION, turns=(Turn("assistant", "Hello."), *QUESTION.turns)),
        replace(QUESTION, turns=(Turn("user", "How did it end?", images=(Image("image/png", b"1"),)),)),
        replace(QUESTION, passages=(PASSAGE,)),
        replace(QUESTION, temperature=0.1),
        replace(QUESTION, top_p=0.1),
        replace(QUESTION, max_tokens=5),
        replace(QUESTION, stop=("x",)),
        replace(QUESTION, tools=(Tool("look", "Looks.", {"type": "object"}),)),
        replace(QUESTION, output_schema={"type": "object"}),
    ],
)
async def test_whatever_differs_is_another_question(other: Prompt) -> None:
    house = House()
    await house.ask()
    await house.ask(other)
    assert house.calls == 2

    await house.ask(other)
    assert house.calls == 2


async def test_the_time_that_is_left_is_no_part_of_the_question() -> None:
    house = House()
    await house.ask(replace(QUESTION, time_left=5.0))
    await house.ask(replace(QUESTION, time_left=50.0))
    assert house.calls == 1


async def test_another_model_gives_another_answer() -> None:
    house = House()
    await house.ask()
    house.model = Scripted("openai", ["Badly.", STOP], name="gpt-4o-mini")
    assert (await house.ask()).text == "Badly."


@pytest.mark.parametrize(
    "line",
    [
        ["It ended", Unreachable()],
        ["It ended", Finish(FinishReason.LENGTH)],
        ["It ended", Finish(FinishReason.FILTERED)],
        [ToolCall("1", "look", "{}"), Finish(FinishReason.TOOL_CALLS)],
        ["Let me see.", ToolCall("1", "look", "{}"), STOP],
    ],
)
async def test_what_is_no_whole_answer_is_not_kept(line: Sequence[str | ModelEvent]) -> None:
    house = House(line)
    await house.ask()
    await house.ask()
    assert house.calls == 2


async def test_what_another_one_said_is_not_kept_either() -> None:
    house = House(["It ended", Unreachable()])
    for _ in range(2):
        voice = house.stage.orchestra.answering(
            choice(house.model, Scripted("anthropic", [" well.", STOP])), scope="ann"
        )
        assert (await hear(voice, QUESTION)).text == "It ended well."
    assert house.calls == 2


async def test_the_end_of_what_another_one_began_is_not_kept() -> None:
    """The second speaks first, since it called the tools; the first one only ends its sentence."""
    house = House([Unreachable()], [Unreachable()], [" well.", STOP])
    call: Line = [ToolCall("1", "look", "{}"), Finish(FinishReason.TOOL_CALLS)]
    other = Scripted("anthropic", call, ["It ended", Unreachable()])
    voice = house.stage.orchestra.answering(choice(house.model, other), scope="ann")
    await hear(voice, QUESTION)
    assert (await hear(voice, QUESTION)).text == "It ended well."

    assert house.cache.size == 0


async def test_a_part_of_an_answer_is_asked_for_anew() -> None:
    house = House()
    for _ in range(2):
        await house.ask(question("How did it end?", partial="It "))
    assert (house.calls, house.cache.misses) == (2, 0)


async def test_after_an_hour_it_is_asked_anew() -> None:
    house = House()
    await house.ask()
    house.clock.now += 60
    await house.ask()
    assert house.calls == 2


async def test_an_answer_that_was_stopped_is_not_kept() -> None:
    house = House()
    stream = house.stage.orchestra.answering(choice(house.model), scope="ann").stream(QUESTION)
    await anext(stream)
    await anext(stream)
    await stream.aclose()
    await house.ask()
    assert house.calls == 2


def test_the_cache_is_bounded_in_bytes() -> None:
    cache = ResponseCache(most_bytes=10 * (OVERHEAD + 100 + 60))
    for number in range(100):
        cache.put("ann", "openai/x", question(f"{number}"), ["x" * 100])
        assert cache.size <= 10 * (OVERHEAD + 160)
    kept = [n for n in range(100) if cache.get("ann", "openai/x", question(f"{n}"))]
    assert kept == list(range(90, 100))

    cache.put("ann", "openai/x", question("huge"), ["x" * 100_000])
    assert cache.get("ann", "openai/x", question("huge")) is None


def test_what_is_asked_for_stays() -> None:
    cache = ResponseCache(most_bytes=2 * (OVERHEAD + 61))
    cache.put("ann", "m", question("1"), ["x"])
    cache.put("ann", "m", question("2"), ["x"])
    assert cache.get("ann", "m", question("1"))
    cache.put("ann", "m", question("3"), ["x"])

    assert cache.get("ann", "m", question("1"))
    assert cache.get("ann", "m", question("2")) is None
