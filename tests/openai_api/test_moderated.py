"""Models asked by themselves are moderated and masked like every answer (M-10)."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import openai
import pytest

from parlour.settings.moderation import ModerationSettings
from tests.fakes.provider import FakeProvider
from tests.fakes.script import encoded
from tests.harness.serving import Served, serving
from tests.openai_api.conftest import MODEL, named_model
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
