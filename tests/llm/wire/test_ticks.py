"""Reading in ticks: many answers at once come in fewer pieces, and every word of them comes."""

import asyncio

import pytest

from parlour.llm.providers.openai_compatible import OpenAICompatible
from parlour.llm.wire.ticks import FEW
from parlour.vocabulary.errors import Unreachable
from tests.llm.asking import ask, question

pytestmark = pytest.mark.anyio

WORDS = 60
ANSWER = f"Go! [[n={WORDS};dt=0.002]]"


async def test_a_few_answers_are_read_word_by_word(model: OpenAICompatible) -> None:
    slowly = f"Go! [[n={WORDS};dt=0.01]]"
    assert len((await ask(model, slowly)).pieces) > WORDS / 2


async def test_many_answers_come_in_fewer_pieces_and_whole(model: OpenAICompatible) -> None:
    alone = await ask(model, ANSWER)

    together = await asyncio.gather(*(ask(model, ANSWER) for _ in range(FEW * 5)))

    assert {answer.text for answer in together} == {alone.text}
    assert max(len(answer.pieces) for answer in together) < WORDS / 2


async def test_whoever_leaves_or_breaks_off_between_two_ticks_disturbs_nobody(
    model: OpenAICompatible,
) -> None:
    async def leave() -> None:
        events = model.stream(question(ANSWER))
        await anext(events)
        await events.aclose()

    alone = await ask(model, ANSWER)
    staying = [asyncio.create_task(ask(model, ANSWER)) for _ in range(FEW * 2)]
    breaking = asyncio.create_task(ask(model, f"Go! [[n={WORDS};dt=0.002;rst@20]]"))
    await asyncio.gather(*(leave() for _ in range(FEW * 2)))

    assert {(await answer).text for answer in staying} == {alone.text}
    assert isinstance((await breaking).error, Unreachable)
