"""A model that sees no personal data, and a reader who notices nothing (M-10, B-8)."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import orjson
import pytest

from parlour.features.moderation.masking.masker import Masker
from parlour.features.moderation.masking.model import Masked
from parlour.features.moderation.masking.personal import ALL_KINDS
from parlour.llm.model import Chosen, Finish, ModelEvent, Prompt, Sources, Text, ToolCall, Turn
from parlour.vocabulary.citation import Passage
from parlour.vocabulary.errors import Unreachable
from parlour.vocabulary.messages import FinishReason
from tests.moderation.test_service import moderation

pytestmark = pytest.mark.anyio

PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----"
PASSAGE = Passage("p1", "d1", "Contacts of ada@example.com", ("Phones",), "Ada: +49 30 1234567.")


class Scripted:
    """A model that says what a test wrote for it, and keeps the prompt."""

    provider = "auto"
    name = "auto"

    def __init__(self, *events: ModelEvent, error: Exception | None = None) -> None:
        self.events = events
        self.error = error
        self.prompts: list[Prompt] = []
        self.closed = False

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
        self.prompts.append(prompt)
        try:
            for event in self.events:
                yield event
            if self.error is not None:
                raise self.error
        finally:
            self.closed = True


def prompt(*turns: Turn, partial: str = "") -> Prompt:
    return Prompt(system="Be kind.", turns=turns, passages=(PASSAGE,), partial=partial)


async def answered(model: Masked, asked: Prompt) -> list[ModelEvent]:
    async with aclosing(model.stream(asked)) as events:
        return [event async for event in events]


async def test_a_long_prompt_is_masked_while_others_go_on() -> None:
    inner, ticks = Scripted(Finish(FinishReason.STOP)), 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)
    long = "ada@example.com, order 123456 7 of +49 30 1234567. " * 5_000
    await answered(Masked(inner, Masker()), prompt(Turn("user", long)))
    ticking.cancel()
    assert ticks > 100
    assert "ada@example.com" not in inner.prompts[0].turns[0].content


async def test_nothing_personal_is_in_what_the_model_gets() -> None:
    inner = Scripted(Finish(FinishReason.STOP))
    masker = Masker()
    call = ToolCall("1", "find", orjson.dumps({"who": "ada@example.com"}).decode())
    asked = prompt(
        Turn("user", "I am ada@example.com, card 4111 1111 1111 1111"),
        Turn("assistant", "", tool_calls=(call,)),
        Turn("tool", "ada@example.com lives at 203.0.113.42", tool_call_id="1"),
        Turn("user", "Call +49 30 1234567"),
        partial="Dear ada@example.com",
    )
    await answered(Masked(inner, masker), asked)
    got = inner.prompts[0]
    assert [turn.content for turn in got.turns] == [
        "I am [e-mail 1], card [card 1]",
        "",
        "[e-mail 1] lives at [IP 1]",
        "Call [phone 1]",
    ]
    assert got.turns[1].tool_calls[0].arguments == '{"who":"[e-mail 1]"}'
    assert got.passages[0].text == "Ada: [phone 1]."
    assert got.passages[0].document_title == "Contacts of [e-mail 1]"
    assert got.partial == "Dear [e-mail 1]"
    assert got.system == "Be kind."
    assert masker.receipt.counts == {"e-mail": 1, "card": 1, "IP": 1, "phone": 1}


async def test_the_answer_comes_back_whole_though_the_placeholder_came_in_pieces() -> None:
    inner = Scripted(
        Text("Hello [e-m"), Text("ail"), Text(" 1"), Text("], as in [1]"), Finish(FinishReason.STOP)
    )
    events = await answered(Masked(inner, Masker()), prompt(Turn("user", "ada@example.com")))
    assert events == [
        Text("Hello "),
        Text("ada@example.com, as in [1]"),
        Finish(FinishReason.STOP),
    ]


async def test_what_is_held_back_is_said_before_the_end_and_before_a_failure() -> None:
    asked = prompt(Turn("user", "ada@example.com"))
    events = await answered(Masked(Scripted(Text("a [e-m"), Finish(FinishReason.LENGTH)), Masker()), asked)
    assert events == [Text("a "), Text("[e-m"), Finish(FinishReason.LENGTH)]
    failing = Scripted(Text("a ["), error=Unreachable(cause="gone"))
    async with aclosing(Masked(failing, Masker()).stream(asked)) as stream:
        assert [await anext(stream), await anext(stream)] == [Text("a "), Text("[")]
        with pytest.raises(Unreachable):
            await anext(stream)


async def test_a_tool_gets_the_values_as_json_writes_them() -> None:
    call = ToolCall("1", "keep", '{"key": "[key 1]", "to": "[e-mail 1]"}')
    model = Masked(Scripted(call, Finish(FinishReason.TOOL_CALLS)), Masker())
    events = await answered(model, prompt(Turn("user", f"Keep {PEM} for ada@example.com")))
    assert isinstance(events[0], ToolCall)
    assert orjson.loads(events[0].arguments) == {"key": PEM, "to": "ada@example.com"}


async def test_sources_are_the_originals_and_the_name_follows_a_fallback() -> None:
    inner = Scripted(Chosen("openai", "gpt", "why"), Finish(FinishReason.STOP))
    model = Masked(inner, Masker())
    await answered(model, prompt(Turn("user", "Hi")))
    assert (model.provider, model.name) == ("openai", "gpt")
    masked = inner.prompts[0].passages
    again = Masked(Scripted(Sources(masked), Finish(FinishReason.STOP)), Masker())
    assert (await answered(again, prompt(Turn("user", "Hi"))))[0] == Sources((PASSAGE,))


def test_a_model_is_wrapped_only_where_something_is_masked() -> None:
    inner = Scripted()
    assert moderation().masked(inner) is inner
    assert isinstance(moderation(masks=ALL_KINDS).masked(inner), Masked)


async def test_closing_the_answer_closes_the_model() -> None:
    inner = Scripted(Text("a"), Text("b"))
    async with aclosing(Masked(inner, Masker()).stream(prompt(Turn("user", "Hi")))) as events:
        assert await anext(events) == Text("a")
    assert inner.closed
