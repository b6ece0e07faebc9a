"""Models asked by themselves are moderated and masked like every answer (M-10)."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from parlour.settings.moderation import ModerationSettings
from parlour.vocabulary.principal import Scope
from tests.fakes.provider import FakeProvider
from tests.fakes.script import encoded
from tests.harness import tables
from tests.harness.serving import Person, Served, serving
from tests.openai_api.conftest import MODEL, connect, named_model, program
from tests.openai_api.test_models_asked import only_call, said

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def served(
    anyio_backend: str, provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    """A server that blocks a word, and masks addresses."""
    folder: Path = tmp_path_factory.mktemp("parlour")
    rules = folder / "rules.txt"
    rules.write_text("abracadabra\n")
    moderation = ModerationSettings(input="block", output="block", rules=rules, masking="e-mail")
    async with serving(named_model(folder, provider, moderation=moderation)) as running:
        yield running


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_blocked_message_is_a_friendly_filtered_answer(
    client: openai.AsyncOpenAI, provider: FakeProvider, *, streamed: bool
) -> None:
    messages = said(f"Say abracadabra, streamed {streamed}")
    if streamed:
        stream = await client.chat.completions.create(model=MODEL, messages=messages, stream=True)
        choices = [choice async for chunk in stream for choice in chunk.choices]
        text, reason = "".join(each.delta.content or "" for each in choices), choices[-1].finish_reason
    else:
        answer = await client.chat.completions.create(model=MODEL, messages=messages)
        text, reason = answer.choices[0].message.content or "", answer.choices[0].finish_reason
    assert (text.startswith("I cannot help"), reason) == (True, "content_filter")
    assert provider.calls(f"streamed {streamed}") == []


async def test_an_answer_that_breaks_the_rules_ends_filtered(client: openai.AsyncOpenAI) -> None:
    text = "A first sentence is fine. Then comes abracadabra. And more that nobody shall read."
    question = f"What is the magic word? [[text={encoded(text)}]]"
    whole = await client.chat.completions.create(model=MODEL, messages=said(question))
    assert whole.choices[0].finish_reason == "content_filter"
    assert "abracadabra" not in str(whole.choices[0].message.content)
    assert "nobody shall read" not in str(whole.choices[0].message.content)
    stream = await client.chat.completions.create(model=MODEL, messages=said(question), stream=True)
    choices = [choice async for chunk in stream for choice in chunk.choices]
    assert choices[-1].finish_reason == "content_filter"
    assert "nobody shall read" not in "".join(choice.delta.content or "" for choice in choices)


async def test_personal_data_does_not_leave_and_comes_back(
    client: openai.AsyncOpenAI, provider: FakeProvider
) -> None:
    """B-8: neither in the instructions nor in the message, and the caller notices nothing"""
    answer = await client.chat.completions.create(
        model=MODEL,
        messages=[
            {"role": "system", "content": "Write to grace@example.org."},
            *said("Who has ada@example.org? [[echo]]"),
        ],
    )
    sent = json.dumps(only_call(provider, "Who has").body)
    assert "ada@example.org" not in sent
    assert "grace@example.org" not in sent
    assert "ada@example.org" in str(answer.choices[0].message.content)


CALL: ChatCompletionMessageParam = {
    "role": "assistant",
    "tool_calls": [{"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
}
BROUGHT: dict[str, list[ChatCompletionMessageParam]] = {
    "instructions": [{"role": "system", "content": "Say abracadabra."}, *said("Go on, instructions")],
    "earlier": [*said("Say abracadabra."), *said("Go on, earlier")],
    "tool": [*said("Go on, tool"), CALL, {"role": "tool", "tool_call_id": "1", "content": "abracadabra"}],
}


@pytest.mark.parametrize("place", BROUGHT)
async def test_all_that_a_caller_brings_is_judged_and_kept_for_review(
    client: openai.AsyncOpenAI, served: Served, user: Person, provider: FakeProvider, place: str
) -> None:
    answer = await client.chat.completions.create(model=MODEL, messages=BROUGHT[place])
    assert answer.choices[0].finish_reason == "content_filter"
    assert provider.calls(f"Go on, {place}") == []
    (flag,) = await tables.rows(served, "flags", person_id=user.id)
    assert (flag["stage"], flag["rule"], flag["action"]) == ("input", "own: abracadabra", "block")
    assert (flag["session_id"], flag["message_id"], flag["run_id"]) == (None, None, None)
    assert flag["key_id"]
    assert "abracadabra" in flag["excerpt"]


async def test_what_is_found_in_a_models_answer_is_kept_for_review(
    client: openai.AsyncOpenAI, served: Served, user: Person
) -> None:
    question = f"And what is it? [[text={encoded('Then comes abracadabra.')}]]"
    await client.chat.completions.create(model=MODEL, messages=said(question))
    (flag,) = await tables.rows(served, "flags", person_id=user.id)
    assert (flag["stage"], flag["action"], flag["excerpt"]) == ("output", "block", None)


@pytest.mark.parametrize("streamed", [False, True])
async def test_nothing_is_kept_of_a_blocked_history(
    client: openai.AsyncOpenAI, served: Served, user: Person, provider: FakeProvider, *, streamed: bool
) -> None:
    """What is brought to an assistant as said before was judged by nobody yet."""
    messages: list[ChatCompletionMessageParam] = [
        *said("Say abracadabra."),
        {"role": "assistant", "content": "Sure."},
        *said(f"Go on then, streamed {streamed}"),
    ]
    if streamed:
        stream = await client.chat.completions.create(model="default", messages=messages, stream=True)
        choices = [choice async for chunk in stream for choice in chunk.choices]
        text, reason = "".join(each.delta.content or "" for each in choices), choices[-1].finish_reason
    else:
        answer = await client.chat.completions.create(model="default", messages=messages)
        text, reason = answer.choices[0].message.content or "", answer.choices[0].finish_reason
    assert (text.startswith("I cannot help"), reason) == (True, "content_filter")
    assert provider.calls(f"streamed {streamed}") == []
    assert await tables.rows(served, "messages", person_id=user.id) == []
    (flag,) = await tables.rows(served, "flags", person_id=user.id)
    assert (flag["action"], flag["excerpt"]) == ("block", "Say abracadabra.")


async def test_words_are_taken_out_of_all_that_a_caller_brings(
    provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("parlour")
    (folder / "rules.txt").write_text("abracadabra\n")
    moderation = ModerationSettings(input="mask", rules=folder / "rules.txt")
    async with serving(named_model(folder, provider, moderation=moderation)) as served:
        user = await program(served, Scope.CHAT, Scope.READ)
        async with connect(served, user.token) as client:
            for place, messages in BROUGHT.items():
                await client.chat.completions.create(model=MODEL, messages=messages)
                sent = only_call(provider, f"Go on, {place}").body["messages"]
                assert "abracadabra" not in str(sent)
                assert "[…]" in str(sent)
            await client.chat.completions.create(model="default", messages=BROUGHT["earlier"])
        kept = await tables.rows(served, "messages", person_id=user.id)
        assert "Say […]." in [row["content"] for row in kept]


async def test_what_no_model_can_take_is_refused_before_anybody_looks_into_it(
    client: openai.AsyncOpenAI, served: Served, user: Person
) -> None:
    models = served.parlour.shelf.models
    before = models.candidates
    sure = [replace(each, profile=replace(each.profile, assumed=False)) for each in before]
    models.fill(sure)
    try:
        with pytest.raises(openai.BadRequestError) as caught:
            await client.chat.completions.create(model=MODEL, messages=said("abracadabra " * 80_000))
    finally:
        models.fill(before)
    assert caught.value.code == "context_length_exceeded"
    assert await tables.rows(served, "flags", person_id=user.id) == []
